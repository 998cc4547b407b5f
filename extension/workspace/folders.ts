// folders.ts — the editor's workspace as the engine takes it: every folder on disk, and editors that differ from the disk.
//
// In: folders and documents as plain values. Out: the protocol's Workspace, or why nothing can be asked. Knows no editor.

import { isAbsolute, relative } from "node:path";
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

/** Larger editors are left to the disk: the engine takes no such file. */
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

/** Folders that are left out because they are not on disk, in a sentence; undefined: none. */
export function leftOutFolders(folders: readonly EditorFolder[]): string | undefined {
  const virtual = folders.filter(({ scheme }) => scheme !== "file").map(({ name }) => name);
  return virtual.length === 0 ? undefined : `Left out, since they are not on disk: ${virtual.join(", ")}.`;
}

export function unsavedFiles(folders: readonly WorkspaceFolder[], documents: readonly EditorDocument[]): UnsavedFile[] {
  return documents
    .filter(({ scheme, path, dirty }) => dirty && scheme === "file" && folders.some(({ root }) => within(root, path)))
    .map((document) => ({ path: document.path, text: document.text() }))
    .filter(({ text }) => text.length <= longestUnsaved);
}

export function toWorkspace(
  folders: readonly EditorFolder[],
  documents: readonly EditorDocument[],
  trusted: boolean,
): Workspace {
  const onDisk = foldersOnDisk(folders);
  return { folders: onDisk, include: [], exclude: [], trusted, unsaved: unsavedFiles(onDisk, documents) };
}

function within(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== "" && !way.startsWith("..") && !isAbsolute(way);
}
