// corpus.ts — real source for the quality gate, cut into contexts of a length: this checkout's, which no model has seen, and that
// of packages which the lock file pins.
//
// The same commit gives the same contexts. No file is in two contexts of one length, as far as there are enough.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface SourceFile {
  path: string;
  text: string;
}

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** Where it lies in the checkout. */
export const folders = [
  "engine",
  "node_modules/@huggingface/jinja/src",
  "extension",
  "node_modules/@huggingface/gguf/src",
  "node_modules/commander/lib",
  "media",
  "node_modules/zod/src/v4/core",
];

/** Every file that is neither small nor huge nor a test, folder by folder, neighbours together. */
export function corpus(): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(root + folder, { recursive: true, encoding: "utf8" })
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
      .filter((path) => /\.(?:ts|js)$/.test(path) && !/\.d\.ts$|\.test\.|\.spec\./.test(path))
      .map((path) => ({ path: path.replace("node_modules/", ""), text: readFileSync(root + path, "utf8") }))
      .filter(({ text }) => text.length >= 1_500 && text.length <= 24_000)
      .sort((a, b) => (a.path < b.path ? -1 : 1)),
  );
}

/** Files from `from` on whose sizes add up to at most `tokens`; those that no longer fit are passed over. */
export function contextOf(
  files: readonly SourceFile[],
  from: number,
  tokens: number,
  count: (file: SourceFile) => number,
): { files: SourceFile[]; next: number } {
  const chosen: SourceFile[] = [];
  let [left, next] = [tokens, from];
  for (let i = 0; i < files.length && left > 300; i++) {
    const file = files[(from + i) % files.length];
    if (file === undefined) break;
    const size = count(file);
    if (size > left) continue;
    chosen.push(file);
    left -= size;
    next = (from + i + 1) % files.length;
  }
  return { files: chosen, next };
}
