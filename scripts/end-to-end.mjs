// end-to-end.mjs — brings what the tests in a real editor need (test/e2e): the packaged extension, code-server, a Chromium.
//
// What cannot be brought is said and left to the tests, which skip themselves, or fail with E2E_REQUIRED=1. The browser comes
// from the system's packages, as root or with sudo where it asks for no password.
import { findBrowser } from "./browser.mjs";
import { ensureCodeServer } from "./code-server.mjs";
import { onPath } from "./prerequisites.mjs";
import { run, Stop, step } from "./steps.mjs";
import { ensurePackage } from "./vsix.mjs";

async function ensureBrowser() {
  if (findBrowser() !== undefined) return;
  const apt = onPath(["apt-get"]);
  const sudo = process.getuid?.() === 0 ? undefined : onPath(["sudo"]);
  if (apt === undefined || (process.getuid?.() !== 0 && sudo === undefined))
    throw new Stop("the tests in a real editor need Chromium: install it, or name one in QUIRE_BROWSER");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const packages = ["install", "-y", "--no-install-recommends", "chromium", "libkrb5-dev", "iproute2"];
  const install = (args) => (sudo === undefined ? run(apt, args, { env }) : run(sudo, ["-n", apt, ...args], { env }));
  await step("installing Chromium", async () => {
    await install(["update"]);
    await install(packages);
  });
}

/** Brings all of it, where that is possible, and says where the package lies, to the tests that this process starts. */
export async function prepareEndToEnd() {
  try {
    if (process.platform !== "linux") throw new Stop("the tests in a real editor run on Linux alone, so far");
    await ensureBrowser();
    await ensureCodeServer();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    process.stderr.write(`${error.message}\n`);
    return;
  }
  process.env.QUIRE_VSIX = await ensurePackage();
}
