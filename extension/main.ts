// main.ts — the extension's entry: wires the engine, the status item, commands and the talk together. Decides nothing.

import * as vscode from "vscode";
import { createEngine } from "./engine/editor-engine.ts";
import { chooseModel } from "./models/choose-model.ts";
import type { Services } from "./services.ts";
import { registerPlan } from "./settings/show-plan.ts";
import { createStatusItem } from "./status/status-item.ts";
import { activateTalk } from "./talk/activate.ts";
import { hindranceOf } from "./workspace/folders.ts";

export function activate(context: vscode.ExtensionContext): void {
  const beganMs = performance.now();
  const log = vscode.window.createOutputChannel("Quire", { log: true });
  const engine = createEngine(context, log);
  const services: Services = {
    engine,
    log,
    // Asked with every state of the panel: what a folder is, not its settings.
    hindrance: () => hindranceOf((vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri)),
    onDidChangeHindrance: (listener) => vscode.workspace.onDidChangeWorkspaceFolders(() => listener()),
  };
  const { registerCommand } = vscode.commands;
  context.subscriptions.push(
    log,
    engine,
    createStatusItem(engine),
    registerPlan(services),
    activateTalk(context, services),
    registerCommand("quire.showLog", () => log.show()),
    registerCommand("quire.chooseModel", () => chooseModel(services)),
    registerCommand("quire.restartEngine", () => engine.restart()),
    registerCommand("quire.openSettings", () =>
      vscode.commands.executeCommand("workbench.action.openSettings", `@ext:${context.extension.id}`),
    ),
  );
  log.info(`Activated in ${(performance.now() - beganMs).toFixed(1)} ms.`);
}
