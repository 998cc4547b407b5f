// browser.mjs — the Chromium that tests are run in: the one that QUIRE_BROWSER names, else the system's.
import { existsSync } from "node:fs";
import { onPath } from "./prerequisites.mjs";

/** Its program, or undefined. */
export function findBrowser(env = process.env) {
  const named = env.QUIRE_BROWSER ?? "";
  if (named !== "") return existsSync(named) ? named : undefined;
  return onPath(["chromium", "chromium-browser", "google-chrome"], env);
}
