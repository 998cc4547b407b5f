// thread-commands.ts — what is done with whole threads: choosing an earlier one, exporting, copying, forgetting.

import { posix } from "node:path";
import * as vscode from "vscode";
import { copyAnswer, encodePath, exportThread } from "./export-markdown.ts";
import { noticeText, rowText } from "./notice-text.ts";
import type { Talk } from "./talk.ts";
import { uriOfPath } from "./workspace-places.ts";

/** Lets the user choose one of the earlier threads. Returns whether one is shown now. */
export async function chooseThread(talk: Talk): Promise<boolean> {
  const items = talk.earlier.map(({ id, question, askedAt, turns }) => ({
    id,
    label: rowText(question),
    description: turns === 1 ? vscode.l10n.t("1 question") : vscode.l10n.t("{0} questions", turns),
    detail: new Date(askedAt).toLocaleString(),
  }));
  if (items.length === 0) {
    void vscode.window.showInformationMessage(vscode.l10n.t("There are no earlier threads in this workspace yet."));
    return false;
  }
  const placeHolder = vscode.l10n.t("Choose a thread to go on with");
  const chosen = await vscode.window.showQuickPick(items, { placeHolder, matchOnDetail: true });
  if (chosen !== undefined) talk.openThread(chosen.id);
  return chosen !== undefined;
}

/** Writes the current thread to a file that the user chooses; its links are relative to it. */
export async function saveThread(talk: Talk): Promise<void> {
  const { turns } = talk.current;
  if (turns.length === 0) {
    void vscode.window.showInformationMessage(vscode.l10n.t("There is nothing to export yet. Ask a question first."));
    return;
  }
  const name = fileName(turns[0]?.question ?? "");
  const beside = uriOfPath(name);
  const target = await vscode.window.showSaveDialog({
    filters: { Markdown: ["md"] },
    title: vscode.l10n.t("Export Thread as Markdown"),
    ...(beside === undefined ? {} : { defaultUri: beside }),
  });
  if (target === undefined) return;
  const folder = posix.dirname(target.path);
  const text = exportThread(turns, (path) => {
    const uri = uriOfPath(path);
    if (uri === undefined) return undefined;
    // On another drive there is no way that is relative.
    return uri.scheme === target.scheme && uri.authority === target.authority
      ? encodePath(posix.relative(folder, uri.path))
      : uri.toString();
  });
  try {
    await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(text));
    await vscode.window.showTextDocument(target);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    void vscode.window.showErrorMessage(
      vscode.l10n.t("The thread was not saved: {0}. Choose another place.", noticeText(why)),
    );
  }
}

export async function copyTurn(talk: Talk, turnId: string): Promise<void> {
  const turn = talk.current.turns.find(({ id }) => id === turnId);
  if (turn === undefined) return;
  await vscode.env.clipboard.writeText(copyAnswer(turn));
  vscode.window.setStatusBarMessage(vscode.l10n.t("The answer is on the clipboard."), 3_000);
}

/** Forgets questions and answers, after asking. */
export async function forgetThreads(talk: Talk): Promise<void> {
  const forget = vscode.l10n.t("Forget");
  const question = vscode.l10n.t("Forget all questions and answers of this workspace?");
  const detail = vscode.l10n.t("What was read of the repository stays in memory.");
  if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, forget)) === forget) talk.clear();
}

function fileName(question: string): string {
  const words = question.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return `quire-${words.slice(0, 6).join("-").slice(0, 60) || "thread"}.md`;
}
