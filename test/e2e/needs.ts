// needs.ts — what the tests in a real editor need, and what is done where something is missing: they are skipped with the
// reason, or, with E2E_REQUIRED=1 (continuous integration), they fail.
//
// scripts/end-to-end.mjs brings all of it and tells where the packaged extension lies (QUIRE_VSIX).

import { existsSync } from "node:fs";
import { findModel } from "../../engine/models/catalog.ts";
import { findBrowser } from "../../scripts/browser.mjs";
import { codeServer, codeServerReady } from "../../scripts/code-server.mjs";
import { findTestModel } from "../engine/models/find-model.ts";

export const smallModel = "smollm2-135m";

export interface Needs {
  /** The Node that runs the editor's server. */
  node: string;
  /** The server's entry. */
  entry: string;
  browser: string;
  /** The packaged extension. */
  vsix: string;
  /** The small model's file. */
  model: string;
}

/** All of it, or why a test cannot run. */
export function lookForNeeds(): Needs | string {
  // What a process is, and what it runs, is read from /proc.
  if (process.platform !== "linux") return "they run on Linux alone, so far";
  const { node, entry } = codeServer();
  if (!codeServerReady()) return "code-server is not installed";
  const browser = findBrowser();
  if (browser === undefined) return "there is no Chromium (name one in QUIRE_BROWSER)";
  const vsix = process.env.QUIRE_VSIX;
  if (vsix === undefined || !existsSync(vsix)) return "the extension is not packaged";
  const catalogued = findModel(smallModel);
  const model = catalogued === undefined ? undefined : findTestModel(catalogued);
  if (model === undefined) return `the model ${smallModel} is not on this machine`;
  return { node, entry, browser, vsix, model };
}

/** Skips the caller's tests where something is missing; fails where that may not be. */
export function needed(context: Mocha.Context): Needs {
  const found = lookForNeeds();
  if (typeof found !== "string") return found;
  const words = `The tests in a real editor cannot run: ${found}. \`npm test\` installs what they need.`;
  if (process.env.E2E_REQUIRED === "1") throw new Error(words);
  process.stderr.write(`${words}\n`);
  context.skip();
}
