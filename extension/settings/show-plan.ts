// show-plan.ts — `Quire: Show What Would Be Read`, and the cost of a changed budget: the plan of the next question, before anything is read.

import * as vscode from "vscode";
import { longestMessage, sayFailure, signalOf } from "../editor-words.ts";
import { toEngineFailure } from "../engine/engine-failure.ts";
import type { Services } from "../services.ts";
import { isStop } from "../talk/failures.ts";
import { noticeText } from "../talk/notice-text.ts";
import { planPage, planSentence } from "./plan-words.ts";

const scheme = "quire-plan";
const uri = vscode.Uri.parse(`${scheme}:What Quire would read.txt`);
const costly = ["quire.context", "quire.model"];

export function createPlan(services: Services): { show(): Promise<void>; dispose(): void } {
  const { engine, log } = services;
  let page = "";
  const changed = new vscode.EventEmitter<vscode.Uri>();
  const show = async (): Promise<void> => {
    const hindrance = services.hindrance();
    if (hindrance !== undefined)
      return void vscode.window.showInformationMessage(`Quire: ${noticeText(hindrance, longestMessage)}`);
    try {
      const plan = await vscode.window.withProgress(
        {
          location: vscode.ProgressLocation.Notification,
          title: vscode.l10n.t("Quire: planning what to read"),
          cancellable: true,
        },
        (_, token) => engine.map(signalOf(token)),
      );
      page = planPage(plan, plan.notices);
      changed.fire(uri);
      await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: true });
    } catch (error) {
      if (!isStop(error)) await sayFailure(error, log);
    }
  };
  /** Said only where the engine is there already: a setting alone does not start it. */
  const sayCost = async (): Promise<void> => {
    if (engine.state.state !== "ready" || services.hindrance() !== undefined) return;
    try {
      const sentence = planSentence(await engine.map(new AbortController().signal));
      const answer = await vscode.window.showInformationMessage(
        noticeText(vscode.l10n.t("{0} This counts from the next question on.", sentence), longestMessage),
        vscode.l10n.t("Show Files"),
      );
      if (answer !== undefined) await show();
    } catch (error) {
      log.warn(toEngineFailure(error).message);
    }
  };
  const held = vscode.Disposable.from(
    changed,
    vscode.workspace.registerTextDocumentContentProvider(scheme, {
      onDidChange: changed.event,
      provideTextDocumentContent: () => page,
    }),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (costly.some((name) => change.affectsConfiguration(name))) void sayCost();
    }),
  );
  return { show, dispose: () => held.dispose() };
}
