// main.ts — the extension's entry: what the editor's start-up needs (status item, log, names of commands and views), and the way
// to the rest, which is loaded when one of them is first wanted. Decides nothing.

import * as vscode from "vscode";
import { registerExplainAction } from "./explain/explain-action.ts";
import { commandNames, tabType, viewId } from "./names.ts";
import type { Parts } from "./parts.ts";
import { StatusItem } from "./status/status-item.ts";

export function activate(context: vscode.ExtensionContext): void {
  const beganMs = performance.now();
  const log = vscode.window.createOutputChannel("Quire", { log: true });
  const status = new StatusItem();
  let made: Promise<Parts> | undefined;
  const parts = (): Promise<Parts> => {
    // A bundle of its own (scripts/bundle.mjs): an editor in which nothing is asked does not load it.
    made ??= import("./parts.ts").then(({ createParts }) => {
      const created = createParts(context, log);
      context.subscriptions.push(created);
      status.follow(created.engine);
      return created;
    });
    return made;
  };
  const { registerCommand } = vscode.commands;
  context.subscriptions.push(
    log,
    status,
    ...commandNames.map((name) => registerCommand(name, async (given) => (await parts()).commands[name](given))),
    registerCommand("quire.showLog", () => log.show()),
    registerCommand("quire.openSettings", () =>
      vscode.commands.executeCommand("workbench.action.openSettings", `@ext:${context.extension.id}`),
    ),
    registerExplainAction(),
    vscode.window.registerWebviewViewProvider(viewId, {
      resolveWebviewView: async (view) => (await parts()).views.adoptView(view),
    }),
    vscode.window.registerWebviewPanelSerializer(tabType, {
      deserializeWebviewPanel: async (tab) => (await parts()).views.adoptTab(tab),
    }),
  );
  log.info(`Activated in ${(performance.now() - beganMs).toFixed(1)} ms.`);
}
