// editor-words.ts — what several commands say and hear in the editor's own way: messages that offer the log, a token as a signal.

import * as vscode from "vscode";
import type { Services } from "./services.ts";
import { toFailure } from "./talk/failures.ts";
import { noticeText } from "./talk/notice-text.ts";

/** Characters of a message of ours; a name in it has less (noticeText). */
export const longestMessage = 600;

/** Shows a message by `show` with a button that opens the log. Whatever words it holds, they are only text. */
export async function sayWithLog(
  show: (message: string, button: string) => Thenable<string | undefined>,
  message: string,
  log: Services["log"],
): Promise<void> {
  const said = `Quire: ${noticeText(message, longestMessage)}`;
  if ((await show(said, vscode.l10n.t("Show Log"))) !== undefined) log.show();
}

/** Says what went wrong and what to do in the editor about it. */
export function sayFailure(error: unknown, log: Services["log"]): Promise<void> {
  const { message, nextStep } = toFailure(error);
  return sayWithLog(vscode.window.showErrorMessage, `${message} ${nextStep}`, log);
}

/** A signal that fires when the editor's user cancels. */
export function signalOf(token: vscode.CancellationToken): AbortSignal {
  const controller = new AbortController();
  token.onCancellationRequested(() => controller.abort());
  return controller.signal;
}
