// places.ts — a document's path, as Quire shows it, and the place in the workspace that it means; both ways.
//
// In a workspace of one folder a path begins in that folder; in one of several it begins with the folder's name, of which there
// are no two (extension/workspace/folders.ts). A path that could lead out of its folder means nothing. Pure: it does not look
// whether the file is there.

/** What of an editor's folder matters: its name and the path part of its address, with slashes. */
export interface Folder {
  name: string;
  path: string;
}

/** A folder, by its number, and the names from it down to the file. */
export interface Place {
  folder: number;
  segments: string[];
}

/** The path that Quire shows for a file; undefined: it lies in none of the folders. */
export function shownPath(folders: readonly Folder[], path: string): string | undefined {
  let best: { length: number; shown: string } | undefined;
  for (const [index, prefix] of prefixes(folders).entries()) {
    const root = withSlash(folders[index]?.path ?? "");
    if (!path.startsWith(root) || path.length === root.length || (best?.length ?? -1) >= root.length) continue;
    best = { length: root.length, shown: prefix + path.slice(root.length) };
  }
  return best?.shown;
}

/** The place that a shown path means; undefined: none inside the workspace. */
export function placeOf(folders: readonly Folder[], shown: string, windows: boolean): Place | undefined {
  const fitting = [...prefixes(folders).entries()].filter(([, prefix]) => shown.startsWith(prefix));
  const [folder, prefix] = fitting.sort(([, a], [, b]) => b.length - a.length)[0] ?? [];
  if (folder === undefined || prefix === undefined) return undefined;
  const segments = shown.slice(prefix.length).split("/");
  return segments.every((segment) => isName(segment, windows)) ? { folder, segments } : undefined;
}

/** A name of a file or folder and nothing that a file system reads as a way elsewhere. */
function isName(segment: string, windows: boolean): boolean {
  if (segment === "" || segment === "." || segment === ".." || segment.includes("\0")) return false;
  return !(windows && /[\\:]/.test(segment));
}

/** What stands before a folder's paths: as the engine has it (engine/collect/shown-path.ts), to which the same names are given. */
const prefixes = (folders: readonly Folder[]): string[] =>
  folders.map(({ name }) => (folders.length === 1 ? "" : `${name}/`));

const withSlash = (path: string): string => (path.endsWith("/") ? path : `${path}/`);
