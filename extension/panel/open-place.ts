// open-place.ts — opens a cited file at its line, in an editor that does not cover the panel, and lights the line up shortly.
//
// In: a path as Quire shows it and a line, from a webview: both are looked at again here. Out: an editor, or a sentence why not.

import * as vscode from "vscode";
import { noticeText } from "../talk/notice-text.ts";
import { isInside, uriOfPath } from "../talk/workspace-places.ts";

const litFor = 1_500;

export class PlaceOpener {
  readonly #light = vscode.window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new vscode.ThemeColor("editor.rangeHighlightBackground"),
  });
  #timer: NodeJS.Timeout | undefined;

  /** @param line 1-based; 0 for a whole file */
  async open(path: string, line: number): Promise<void> {
    const uri = uriOfPath(path);
    if (uri === undefined) {
      void vscode.window.showWarningMessage(vscode.l10n.t("{0} is not in this workspace.", noticeText(path)));
      return;
    }
    try {
      if (!(await isInside(uri))) {
        void vscode.window.showWarningMessage(vscode.l10n.t("{0} leads out of this workspace.", noticeText(path)));
        return;
      }
      const document = await vscode.workspace.openTextDocument(uri);
      const at = document.lineAt(Math.min(Math.max(line, 1), document.lineCount) - 1);
      const editor = await vscode.window.showTextDocument(document, {
        viewColumn: columnFor(uri),
        selection: new vscode.Range(at.range.start, at.range.start),
        preview: true,
      });
      editor.revealRange(at.range, vscode.TextEditorRevealType.InCenterIfOutsideViewport);
      if (line > 0) this.#lightUp(editor, at.range);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const message = (await exists(uri))
        ? vscode.l10n.t("{0} cannot be shown: {1}", noticeText(path), noticeText(why))
        : vscode.l10n.t("{0} is not there any more. Ask again to read the workspace as it is now.", noticeText(path));
      void vscode.window.showWarningMessage(message);
    }
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#light.dispose();
  }

  #lightUp(editor: vscode.TextEditor, range: vscode.Range): void {
    clearTimeout(this.#timer);
    for (const other of vscode.window.visibleTextEditors) if (other !== editor) other.setDecorations(this.#light, []);
    editor.setDecorations(this.#light, [range]);
    this.#timer = setTimeout(() => {
      for (const visible of vscode.window.visibleTextEditors) visible.setDecorations(this.#light, []);
    }, litFor);
  }
}

/** Where the file is open already, else beside a panel that is the active editor, else the active column. */
function columnFor(uri: vscode.Uri): vscode.ViewColumn {
  const visible = vscode.window.visibleTextEditors.find(({ document }) => document.uri.toString() === uri.toString());
  if (visible?.viewColumn !== undefined) return visible.viewColumn;
  const { activeTabGroup, all } = vscode.window.tabGroups;
  if (!(activeTabGroup.activeTab?.input instanceof vscode.TabInputWebview)) return vscode.ViewColumn.Active;
  const other = all.find((group) => group !== activeTabGroup);
  return other?.viewColumn ?? vscode.ViewColumn.Beside;
}

async function exists(uri: vscode.Uri): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(uri);
    return true;
  } catch {
    return false;
  }
}
