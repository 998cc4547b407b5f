// watch-changes.ts — the paths of files that changed, in an editor or on disk, handed on a moment later and together.

import * as vscode from "vscode";
import { pathOfDocument } from "../talk/workspace-places.ts";

/** Milliseconds in which changes are collected: keys come one by one, a branch switch brings hundreds of files. */
const together = 500;

/** @param changed gets paths as Quire shows them */
export function watchChanges(changed: (paths: string[]) => void): vscode.Disposable {
  const found = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const add = (uri: vscode.Uri): void => {
    const path = pathOfDocument(uri);
    if (path === undefined) return;
    found.add(path);
    timer ??= setTimeout(() => {
      timer = undefined;
      changed([...found]);
      found.clear();
    }, together);
  };
  const watcher = vscode.workspace.createFileSystemWatcher("**/*");
  return vscode.Disposable.from(
    watcher,
    watcher.onDidChange(add),
    watcher.onDidCreate(add),
    watcher.onDidDelete(add),
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (contentChanges.length > 0) add(document.uri);
    }),
    { dispose: () => clearTimeout(timer) },
  );
}
