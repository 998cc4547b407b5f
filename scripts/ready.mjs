// ready.mjs — from whatever a checkout looks like to one whose bundles run: the order of the set-up's steps.
//
// When nothing changed it costs a few hashes. Else one process at a time does the work, and the others wait and find it done.
import { join } from "node:path";
import { addonReady, buildAddon } from "./addon.mjs";
import { bundle, bundleReady } from "./bundle.mjs";
import { build } from "./layout.mjs";
import { withLock } from "./lock.mjs";
import { installPackages, packagesReady } from "./packages.mjs";
import { checkPrerequisites } from "./prerequisites.mjs";

/** Installs and builds what is not up to date. `parts` names how far to go: packages, addon, bundle. */
export async function makeReady(parts = ["packages", "addon", "bundle"]) {
  const ready = { packages: packagesReady, addon: addonReady, bundle: bundleReady };
  if (parts.every((part) => ready[part]())) return;
  await withLock(
    join(build, ".stamps"),
    async () => {
      // All that is missing is told before the first slow step, not between them.
      const found = ready.packages() && ready.addon() ? undefined : await checkPrerequisites();
      if (parts.includes("packages")) await installPackages();
      if (parts.includes("addon") && !ready.addon()) await buildAddon(found ?? (await checkPrerequisites()));
      if (parts.includes("bundle")) await bundle();
    },
    (owner) => process.stderr.write(`quire: waiting for process ${owner}, which is setting up this checkout\n`),
  );
}

/** As a command: its arguments are the parts. */
export const main = (parts) => makeReady(parts);
