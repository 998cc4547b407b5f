// folders.ts — the editor's workspace as the engine takes it: every folder on disk, and editors that differ from the disk.
//
// In: folders and documents as plain values. Out: the protocol's Workspace with what to say of it, or why nothing can be asked. Knows no editor.

import { basename, isAbsolute, relative } from "node:path";
import type { UnsavedFile, Workspace, WorkspaceFolder } from "../../engine/protocol.ts";
import type { FolderSettings } from "../settings/settings.ts";

export interface EditorFolder {
  name: string;
  scheme: string;
  /** Absolute path, where the scheme is "file". */
  path: string;
  settings?: FolderSettings;
}

/** A name for each folder, in order, and no name twice: the engine shows several folders by them, and so does the panel. */
export function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set(names);
  const used = new Set<string>();
  return names.map((given) => {
    let name = given;
    for (let times = 2; used.has(name); times++) if (!taken.has(`${given}-${times}`)) name = `${given}-${times}`;
    used.add(name);
    return name;
  });
}

export interface EditorDocument {
  scheme: string;
  path: string;
  dirty: boolean;
  text(): string;
}

/** Characters. The engine takes no longer file. */
const longestUnsaved = 1_000_000;

/** Folders on disk, by names of their own: the engine begins paths with them where there are several. */
export function foldersOnDisk(folders: readonly EditorFolder[]): WorkspaceFolder[] {
  const onDisk = folders.filter(({ scheme }) => scheme === "file");
  const names = uniqueNames(onDisk.map(({ name }) => name));
  return onDisk.map(({ name, path, settings }, index) => ({ name: names[index] ?? name, root: path, ...settings }));
}

/** Why nothing can be asked in these folders, and what to do; undefined: one can. */
export function hindranceOf(folders: readonly { scheme: string }[]): string | undefined {
  if (folders.length === 0) return "No folder is open. Open a folder (File: Open Folder…) to ask about it.";
  if (folders.every(({ scheme }) => scheme !== "file")) {
    return "This workspace is not on a disk that Quire can read. Clone or open it as a folder on disk to ask about it.";
  }
  return undefined;
}

/** The workspace, and what has to be said of what is not in it. */
export function toWorkspace(
  folders: readonly EditorFolder[],
  documents: readonly EditorDocument[],
  trusted: boolean,
): { workspace: Workspace; notices: string[] } {
  const onDisk = foldersOnDisk(folders);
  const edited = documents
    .filter(({ scheme, path, dirty }) => dirty && scheme === "file" && onDisk.some(({ root }) => within(root, path)))
    .map((document): UnsavedFile => ({ path: document.path, text: document.text() }));
  const unsaved = edited.filter(({ text }) => text.length <= longestUnsaved);
  const virtual = folders.filter(({ scheme }) => scheme !== "file").map(({ name }) => name);
  const long = edited.filter((file) => !unsaved.includes(file)).map(({ path }) => basename(path));
  const notices = [
    ...(virtual.length === 0 ? [] : [`Left out, since they are not on disk: ${virtual.join(", ")}.`]),
    ...(long.length === 0
      ? []
      : [`Read as on disk, since the editor's text is over a million characters: ${long.join(", ")}.`]),
  ];
  return { workspace: { folders: onDisk, include: [], exclude: [], trusted, unsaved }, notices };
}

function within(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== "" && !way.startsWith("..") && !isAbsolute(way);
}
