// unsaved.ts — files whose text is in an editor and not on disk: which of them are in a folder, and what their text is worth.
//
// In: a folder and the editors' texts. Out: texts by relative path; for files that do not exist yet, those that no ignore file excludes.

import { lstat, readFile } from "node:fs/promises";
import path from "node:path";
import ignore from "ignore";
import type { UnsavedFile } from "../protocol.ts";
import { headBytes, refuseHead, type Verdict } from "./refuse.ts";
import { pathWithin } from "./shown-path.ts";

/** Texts of the files in a folder, by relative path; `roots` are names of the same folder. */
export function unsavedIn(roots: readonly string[], unsaved: readonly UnsavedFile[]): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { path: absolutePath, text } of unsaved) {
    const relative = roots.map((root) => pathWithin(root, absolutePath)).find((found) => found !== undefined);
    if (relative !== undefined) texts.set(relative, text);
  }
  return texts;
}

/** What a text would be refused for if it were on disk, or its facts. */
export function judgeText(text: string, maxBytes: number): { bytes: number } | Verdict {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length > maxBytes)
    return { reason: "too large", detail: `${bytes.length} bytes, the limit is ${maxBytes}` };
  return refuseHead(bytes.subarray(0, headBytes), bytes.length <= headBytes) ?? { bytes: bytes.length };
}

/** Those of the relative paths at which nothing is on disk. */
export async function notOnDisk(root: string, paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(paths.map((relative) => lstat(path.join(root, relative)).catch(() => undefined)));
  return paths.filter((_, index) => found[index] === undefined);
}

/** Those of the paths that the folder's .gitignore files exclude, from the folder's own down to the one beside the file. */
export async function ignoredByFiles(root: string, paths: readonly string[]): Promise<Set<string>> {
  const ignored = new Set<string>();
  for (const relative of paths) {
    const segments = relative.split("/");
    // A deeper ignore file has the last word, unless a folder above is excluded as a whole.
    for (let depth = 0; depth < segments.length; depth++) {
      const folder = segments.slice(0, depth).join("/");
      const rules = await readFile(path.join(root, folder, ".gitignore"), "utf8").catch(() => "");
      const below = segments.slice(depth).join("/");
      if (rules === "" || !ignore.isPathValid(below)) continue;
      const verdict = ignore().add(rules).test(below);
      if (verdict.ignored) ignored.add(relative);
      else if (verdict.unignored) ignored.delete(relative);
    }
  }
  return ignored;
}
