// explain-action.ts — "Explain with Quire" among the editor's code actions for a selection. Loaded at start-up: knows only paths.

import * as vscode from "vscode";
import { pathOfDocument } from "../talk/workspace-places.ts";

/** A kind of its own: it is no fix and no refactoring, and can be bound to a key as `quire.explain`. */
const kind = vscode.CodeActionKind.Empty.append("quire.explain");

export function registerExplainAction(): vscode.Disposable {
  return vscode.languages.registerCodeActionsProvider(
    { pattern: "**" },
    { provideCodeActions: offer },
    { providedCodeActionKinds: [kind] },
  );
}

/** Offered when the user asks for actions, and by itself only for several lines: a light bulb at each double click is a nuisance. */
function offer(
  document: vscode.TextDocument,
  range: vscode.Range | vscode.Selection,
  context: vscode.CodeActionContext,
): vscode.CodeAction[] {
  if (range.isEmpty || document.getText(range).trim() === "" || pathOfDocument(document.uri) === undefined) return [];
  if (context.triggerKind === vscode.CodeActionTriggerKind.Automatic && range.isSingleLine) return [];
  const title = vscode.l10n.t("Explain with Quire");
  const action = new vscode.CodeAction(title, kind);
  action.command = { command: "quire.explain", title };
  return [action];
}
