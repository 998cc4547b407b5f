// workspace-places.ts — shown paths and files of the open workspace, by extension/talk/places.ts. A file outside of it has no path,
// and a path leads to none outside.

import { isAbsolute, relative, sep } from "node:path";
import * as vscode from "vscode";
import { foldersOnDisk } from "../workspace/folders.ts";
import { type Folder, placeOf, shownPath } from "./places.ts";

const windows = process.platform === "win32";

/** The path that Quire shows for a document; undefined: it does not lie in a folder that Quire reads. */
export function pathOfDocument(uri: vscode.Uri): string | undefined {
  return uri.scheme === "file" ? shownPath(folders(), uri.path) : undefined;
}

/** The file that a shown path means; undefined: none inside the workspace. It may not exist. */
export function uriOfPath(shown: string): vscode.Uri | undefined {
  const known = folders();
  const place = placeOf(known, shown, windows);
  const folder = place === undefined ? undefined : known[place.folder];
  return place === undefined || folder === undefined ? undefined : vscode.Uri.joinPath(folder.uri, ...place.segments);
}

/** Tells whether a file, its links followed, lies in the workspace folder it belongs to. */
export async function isInside(uri: vscode.Uri): Promise<boolean> {
  const folder = vscode.workspace.getWorkspaceFolder(uri);
  if (folder === undefined) return false;
  // Here, not above: the editor's start-up does without it.
  const { realpath } = await import("node:fs/promises");
  const [root, file] = await Promise.all([realpath(folder.uri.fsPath), realpath(uri.fsPath)]);
  const way = relative(root, file);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** The folders that the engine is given, by the names it is given. */
function folders(): (Folder & { uri: vscode.Uri })[] {
  const onDisk = (vscode.workspace.workspaceFolders ?? []).filter(({ uri }) => uri.scheme === "file");
  const named = foldersOnDisk(onDisk.map(({ name, uri }) => ({ name, scheme: uri.scheme, path: uri.fsPath })));
  return onDisk.map(({ name, uri }, index) => ({ name: named[index]?.name ?? name, path: uri.path, uri }));
}
