// status-item.ts — the status bar's item: the engine's state, and the way to a question. All that Quire shows at start-up.

import * as vscode from "vscode";
import type { EngineService } from "../engine/service.ts";
import { statusWords } from "./status-words.ts";

export function createStatusItem(engine: Pick<EngineService, "state" | "onDidChangeState">): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("quire.status", vscode.StatusBarAlignment.Right, 90);
  item.name = "Quire";
  const show = (): void => {
    const { text, sentence, failed } = statusWords(engine.state);
    item.text = text;
    item.tooltip = `${sentence} ${failed ? "Click for the log." : "Click to ask about this workspace."}`;
    item.accessibilityInformation = { label: item.tooltip, role: "button" };
    item.command = failed ? "quire.showLog" : "quire.ask";
    item.backgroundColor = failed ? new vscode.ThemeColor("statusBarItem.errorBackground") : undefined;
  };
  show();
  item.show();
  return vscode.Disposable.from(item, engine.onDidChangeState(show));
}
