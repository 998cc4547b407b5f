// status-item.ts — the status bar's item: the engine's state, and the way to a question. All that Quire shows at start-up.

import * as vscode from "vscode";
import type { EngineService } from "../engine/service.ts";
import { memoryLines, statusWords } from "./status-words.ts";

export function createStatusItem(
  engine: Pick<EngineService, "state" | "memory" | "onDidChangeState">,
): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("quire.status", vscode.StatusBarAlignment.Right, 90);
  item.name = "Quire";
  const show = (): void => {
    const { text, sentence, failed } = statusWords(engine.state);
    item.text = text;
    const label = `${sentence} ${failed ? "Click for the log." : "Click to ask about this workspace."}`;
    const lines = [label, ...(engine.memory === undefined ? [] : memoryLines(engine.memory))];
    // Not trusted, and text alone: a model's path and an error's words are anybody's.
    const tooltip = new vscode.MarkdownString();
    for (const line of lines) tooltip.appendText(line).appendMarkdown("\n\n");
    item.tooltip = tooltip;
    item.accessibilityInformation = { label, role: "button" };
    item.command = failed ? "quire.showLog" : "quire.ask";
    item.backgroundColor = failed ? new vscode.ThemeColor("statusBarItem.errorBackground") : undefined;
  };
  show();
  item.show();
  return vscode.Disposable.from(item, engine.onDidChangeState(show));
}
