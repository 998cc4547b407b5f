// editor-words.ts — what several commands say and hear in the editor's own way: a message that offers the log, a token as a signal.

import type * as vscode from "vscode";
import type { Services } from "./services.ts";

/** Shows a message by `show` with a button that opens the log. */
export async function sayWithLog(
  show: (message: string, button: string) => Thenable<string | undefined>,
  message: string,
  log: Services["log"],
): Promise<void> {
  if ((await show(`Quire: ${message}`, "Show Log")) !== undefined) log.show();
}

/** A signal that fires when the editor's user cancels. */
export function signalOf(token: vscode.CancellationToken): AbortSignal {
  const controller = new AbortController();
  token.onCancellationRequested(() => controller.abort());
  return controller.signal;
}
