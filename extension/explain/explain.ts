// explain.ts — `Quire: Explain Selection`: the comment controller, the threads under selections, and what their commands do.

import * as vscode from "vscode";
import type { Talk } from "../talk/talk.ts";
import { pathOfDocument } from "../talk/workspace-places.ts";
import { InlineThread } from "./inline-thread.ts";
import { selectedText } from "./selected-lines.ts";

const question = "Explain this code.";

export interface ExplainDeps {
  talk(): Talk;
  /** Tells whether asking is possible, and says why not. */
  canAsk(): boolean;
  showPanel(): Promise<void>;
}

export class Explain {
  readonly #deps: ExplainDeps;
  readonly #threads = new Set<InlineThread>();
  readonly commands = {
    "quire.explain": () => this.#explain(),
    "quire.explain.reply": (reply: unknown) => this.#reply(reply),
    "quire.explain.stop": (thread: unknown) => this.#find(thread)?.conversation.stop(),
    "quire.explain.askAgain": (id: unknown) => this.#askAgain(id),
    "quire.explain.showInPanel": (thread: unknown) => this.#showInPanel(thread),
    "quire.explain.close": (thread: unknown) => this.#close(thread),
  };
  #controller: vscode.CommentController | undefined;

  constructor(deps: ExplainDeps) {
    this.#deps = deps;
  }

  dispose(): void {
    for (const thread of this.#threads) thread.dispose(true);
    this.#threads.clear();
    this.#controller?.dispose();
  }

  #explain(): void {
    const editor = vscode.window.activeTextEditor;
    if (editor === undefined) {
      void vscode.window.showInformationMessage(vscode.l10n.t("Open a file and select some code first."));
      return;
    }
    const { document, selection } = editor;
    const shownPath = pathOfDocument(document.uri);
    if (shownPath === undefined) {
      void vscode.window.showInformationMessage(whyNot(document));
      return;
    }
    const lines = document.getText().split(/\r\n|\r|\n/);
    const selected = selectedText(lines, selection.start, selection.end);
    if (selected === undefined) {
      void vscode.window.showInformationMessage(vscode.l10n.t("Select some code first."));
      return;
    }
    if (!this.#deps.canAsk()) return;
    const conversation = this.#deps.talk().aside(question, {
      shownPath,
      selection: { path: document.uri.fsPath, ...selected },
    });
    const range = new vscode.Range(selected.startLine - 1, 0, selected.endLine - 1, 0);
    const label =
      selected.startLine === selected.endLine
        ? vscode.l10n.t("Quire on line {0}", selected.startLine)
        : vscode.l10n.t("Quire on lines {0} to {1}", selected.startLine, selected.endLine);
    this.#threads.add(new InlineThread(this.#comments(), { uri: document.uri, range, label }, conversation));
    vscode.window.setStatusBarMessage(vscode.l10n.t("Quire is explaining the selection."), 3_000);
  }

  /** Made with the first thread: an editor without one shows no comments view. */
  #comments(): vscode.CommentController {
    if (this.#controller !== undefined) return this.#controller;
    const controller = vscode.comments.createCommentController("quire.explain", "Quire");
    controller.options = {
      prompt: vscode.l10n.t("Ask a follow-up question"),
      placeHolder: vscode.l10n.t("Ask a follow-up question; the repository is not read again for it"),
    };
    this.#controller = controller;
    return controller;
  }

  #reply(reply: unknown): void {
    if (!isReply(reply)) return;
    const inline = this.#find(reply.thread);
    const text = reply.text.trim();
    if (inline === undefined || text === "" || !this.#deps.canAsk()) return;
    this.#deps.talk().remember(text);
    inline.conversation.ask(text);
  }

  /** Run by a link in a comment: its argument is the id of a thread of ours, or nothing happens. */
  #askAgain(id: unknown): void {
    const inline = [...this.#threads].find(({ conversation }) => conversation.id === id);
    if (inline !== undefined && this.#deps.canAsk()) inline.askAgain();
  }

  async #showInPanel(thread: unknown): Promise<void> {
    const inline = this.#find(thread);
    if (inline === undefined) return;
    this.#deps.talk().show(inline.conversation);
    await this.#deps.showPanel();
  }

  #close(thread: unknown): void {
    const inline = this.#find(thread);
    if (inline === undefined) return;
    this.#threads.delete(inline);
    inline.dispose(this.#deps.talk().current !== inline.conversation);
  }

  /** Anyone may run a command with anything: only a thread of ours counts. */
  #find(thread: unknown): InlineThread | undefined {
    const wanted = isReply(thread) ? thread.thread : thread;
    return [...this.#threads].find((inline) => inline.shows(wanted as vscode.CommentThread));
  }
}

function isReply(value: unknown): value is vscode.CommentReply {
  return (
    typeof value === "object" &&
    value !== null &&
    "thread" in value &&
    "text" in value &&
    typeof value.text === "string"
  );
}

/** Why a document has no path that Quire shows, and what to do. */
function whyNot({ isUntitled, uri }: vscode.TextDocument): string {
  if (isUntitled) return vscode.l10n.t("Save this file in the workspace first: Quire explains code of the workspace.");
  if (uri.scheme !== "file")
    return vscode.l10n.t(
      "Quire explains code on disk, and this is not. Open it in a folder on disk to have it explained.",
    );
  return vscode.l10n.t("This file is not in the workspace. Add its folder to the workspace to have it explained.");
}
