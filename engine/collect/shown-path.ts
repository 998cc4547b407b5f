// shown-path.ts — how paths are shown: relative to their folder, after the folder's name where there are several. Pure.

import path from "node:path";
import type { WorkspaceFolder } from "./types.ts";

/** What stands before a folder's paths: nothing for a single folder, else its name, made unique. */
export function prefixes(folders: readonly WorkspaceFolder[]): [string, WorkspaceFolder][] {
  if (folders.length === 1) return folders.map((folder) => ["", folder]);
  const taken = new Set(folders.map((folder) => folder.name));
  const used = new Set<string>();
  return folders.map((folder) => {
    let name = folder.name;
    for (let times = 2; used.has(name); times++) {
      const next = `${folder.name}-${times}`;
      if (!taken.has(next)) name = next;
    }
    used.add(name);
    return [`${name}/`, folder];
  });
}

/** The path below a folder with "/" between segments, or undefined where it is not in it. */
export function pathWithin(root: string, absolutePath: string): string | undefined {
  const relative = path.relative(root, absolutePath);
  if (relative === "" || path.isAbsolute(relative) || relative.split(path.sep)[0] === "..") return undefined;
  return path.sep === "\\" ? relative.replaceAll("\\", "/") : relative;
}

/** A file as it is shown, whether or not it was collected; one outside of every folder by its name alone. */
export function shownFile(folders: readonly WorkspaceFolder[], absolutePath: string): string {
  const found = prefixes(folders).flatMap(([prefix, folder]) => {
    const relative = pathWithin(folder.root, absolutePath);
    return relative === undefined ? [] : [prefix + relative];
  });
  return found[0] ?? path.basename(absolutePath);
}
