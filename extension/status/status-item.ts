// status-item.ts — the status bar's item: the engine's state, and the way to a question. All that Quire shows at start-up.

import * as vscode from "vscode";
import type { EngineService } from "../engine/service.ts";
import { memoryLines, statusWords } from "./status-words.ts";

type Followed = Pick<EngineService, "state" | "memory" | "onDidChange">;

export class StatusItem {
  readonly #item = vscode.window.createStatusBarItem("quire.status", vscode.StatusBarAlignment.Right, 90);
  #listening: { dispose(): void } | undefined;

  constructor() {
    this.#item.name = "Quire";
    this.#show({ state: { state: "stopped" }, memory: undefined });
    this.#item.show();
  }

  /** Shows the engine's state from now on. */
  follow(engine: Followed): void {
    this.#listening = engine.onDidChange(() => this.#show(engine));
    this.#show(engine);
  }

  dispose(): void {
    this.#listening?.dispose();
    this.#item.dispose();
  }

  #show(engine: Pick<Followed, "state" | "memory">): void {
    const item = this.#item;
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
  }
}
