// choose-model.ts — `Quire: Choose Model`: what there is, with size and licence; what is not on disk is downloaded at once.

import * as vscode from "vscode";
import { bytesText } from "../../words/figures.ts";
import { sayFailure, signalOf } from "../editor-words.ts";
import { toEngineFailure } from "../engine/engine-failure.ts";
import type { Services } from "../services.ts";
import { noticeText } from "../talk/notice-text.ts";
import { type ModelChoice, modelChoices } from "./model-words.ts";

export async function chooseModel({ engine, log }: Services): Promise<void> {
  const configuration = vscode.workspace.getConfiguration("quire");
  const chosen = configuration.get<string>("model") ?? "auto";
  try {
    const picked = await vscode.window.showQuickPick<ModelChoice & vscode.QuickPickItem>(
      engine.listModels().then((rows) => modelChoices(rows, chosen)),
      {
        title: vscode.l10n.t("Quire: Choose Model"),
        placeHolder: vscode.l10n.t("The model that reads and answers"),
        matchOnDetail: true,
      },
    );
    if (picked === undefined) return;
    if (picked.toFetch && !(await download(engine, picked))) return;
    await configuration.update("model", picked.name, vscode.ConfigurationTarget.Global);
    await sayIfOverruled(picked);
  } catch (error) {
    await sayFailure(error, log);
  }
}

/** A choice in the workspace's own settings counts more than the user's. */
async function sayIfOverruled({ name, title }: ModelChoice): Promise<void> {
  const given: unknown = vscode.workspace.getConfiguration("quire").get("model");
  if (given === name) return;
  const message = vscode.l10n.t(
    "{0} is chosen for your other workspaces; the settings of this one choose {1}.",
    title,
    noticeText(String(given)),
  );
  const open = vscode.l10n.t("Open Settings");
  if ((await vscode.window.showInformationMessage(message, open)) === open)
    await vscode.commands.executeCommand("workbench.action.openWorkspaceSettings", "quire.model");
}

/** False: the user cancelled; what has arrived is kept, and choosing the model again goes on from there. */
async function download(engine: Services["engine"], { name, title }: ModelChoice): Promise<boolean> {
  return vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: vscode.l10n.t("Quire: downloading {0}", title),
      cancellable: true,
    },
    async (progress, token) => {
      let shown = 0;
      try {
        await engine.fetchModel(
          name,
          ({ bytesDone, bytesTotal, bytesPerSecond }) => {
            const percent = (100 * bytesDone) / bytesTotal;
            const message = `${bytesText(bytesDone)} of ${bytesText(bytesTotal)}, ${bytesText(bytesPerSecond)}/s`;
            progress.report({ increment: percent - shown, message });
            shown = percent;
          },
          signalOf(token),
        );
        return true;
      } catch (error) {
        const failure = toEngineFailure(error);
        if (failure.code !== "cancelled") throw failure;
        void vscode.window.showInformationMessage(
          vscode.l10n.t("Quire: the download was stopped. Choose the model again to go on."),
        );
        return false;
      }
    },
  );
}
