// packages.mjs — the npm packages, installed when they are not what package-lock.json says.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { nodeModules, root } from "./layout.mjs";
import { runNpm } from "./npm.mjs";
import { dropStamp, hashOf, readStamp, writeStamp } from "./stamps.mjs";
import { step } from "./steps.mjs";

const lockFile = join(root, "package-lock.json");
const stampFile = join(nodeModules, ".quire-stamp");

const wanted = () => hashOf([lockFile], [process.platform, process.arch]);

/** Whether npm itself has installed just this lock, by the lock it leaves behind. Packages for other platforms may be absent. */
function installedByHand() {
  const own = join(nodeModules, ".package-lock.json");
  if (!existsSync(own)) return false;
  const [want, have] = [lockFile, own].map((path) => JSON.parse(readFileSync(path, "utf8")).packages);
  return Object.entries(want).every(([path, entry]) => {
    if (path === "") return true;
    const found = have[path];
    return found ? found.version === entry.version && found.integrity === entry.integrity : entry.optional === true;
  });
}

export function packagesReady() {
  return readStamp(stampFile) === wanted();
}

/** Installs the packages with `npm ci`, quietly; what npm printed is shown if it fails. */
export async function installPackages() {
  if (packagesReady()) return;
  if (!installedByHand()) {
    dropStamp(stampFile);
    await step("installing the npm packages", () => runNpm(["ci"], { cwd: root }));
  }
  writeStamp(stampFile, wanted());
}
