// named.ts — which files a question names, and what it names that is nowhere.
//
// In: the paths as said and the files of the workspace. Out: the files meant, and names without a file. Pure.

import type { NamedPath } from "./question.ts";
import type { HeldDetail, LookupFile, NamedFile } from "./types.ts";

/** A name that fits more files than this names none of them. */
const mostFiles = 8;

export interface NamedFiles {
  files: NamedFile[];
  missing: string[];
}

export function namedFiles(
  paths: readonly NamedPath[],
  files: readonly LookupFile[],
  inMemory: ReadonlyMap<string, HeldDetail>,
): NamedFiles {
  const found = new Map<string, NamedFile>();
  const missing: string[] = [];
  for (const { said, certain } of paths) {
    const wanted = said
      .replaceAll("\\", "/")
      .replace(/^(?:\.\/)+/, "")
      .replace(/[:#]L?\d+(?:[-:]L?\d+)?$/, "")
      .replace(/\/+$/, "")
      .normalize("NFC");
    if (wanted === "" || wanted.split("/").includes("..")) {
      if (certain) missing.push(said);
      continue;
    }
    const fits = files.filter(({ path }) => fitsPath(path, wanted));
    if (fits.length === 0 && certain) missing.push(said);
    if (fits.length > mostFiles) continue;
    for (const { path } of fits) found.set(path, { path, state: inMemory.get(path) ?? "off" });
  }
  return { files: [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1)), missing };
}

/** Whole path, a suffix of whole segments, or one without the ending; letter case is forgiven. */
function fitsPath(path: string, wanted: string): boolean {
  const own = `/${path.normalize("NFC").toLowerCase()}`;
  const asked = `/${wanted.toLowerCase().replace(/^\/+/, "")}`;
  return own.endsWith(asked) || (!/\.[a-z0-9]+$/.test(asked) && own.replace(/\.[^./]+$/, "").endsWith(asked));
}
