// inline-thread.ts — one explanation under a selection: a comment thread that shows a conversation, streams it and takes replies.
//
// In: a conversation and the place of the selection. Out: comments; the thread's contextValue ("idle", "working") for the
// buttons of package.json. It asks through the conversation alone, so the panel may show the same one.

import * as vscode from "vscode";
import { Pace } from "../panel/pace.ts";
import type { Conversation } from "../talk/conversation.ts";
import { lineFragment } from "../talk/export-markdown.ts";
import { uriOfPath } from "../talk/workspace-places.ts";
import { answerBody, type Body, questionBody } from "./comment-body.ts";

/** Milliseconds between two drawings: the editor lays a thread out anew each time. */
const drawEvery = 150;

export class InlineThread {
  readonly conversation: Conversation;
  readonly #thread: vscode.CommentThread;
  readonly #pace = new Pace(drawEvery, () => this.#draw());
  readonly #listening: { dispose(): void };
  #wasWorking = true;

  /**
   * The thread is made with its first comment: one without any would open its reply box at once. It takes replies from the first
   * moment (they wait for the answer in work): where that changes later, the editor shows two reply buttons.
   */
  constructor(
    controller: vscode.CommentController,
    place: { uri: vscode.Uri; range: vscode.Range; label: string },
    conversation: Conversation,
  ) {
    this.conversation = conversation;
    const thread = controller.createCommentThread(place.uri, place.range, commentsOf(conversation));
    this.#thread = thread;
    thread.label = place.label;
    thread.collapsibleState = vscode.CommentThreadCollapsibleState.Expanded;
    this.#listening = conversation.onDidChange(() => this.#pace.want());
    this.#draw();
  }

  shows(thread: vscode.CommentThread): boolean {
    return thread === this.#thread;
  }

  askAgain(): void {
    const last = this.conversation.turns.at(-1);
    if (last !== undefined) this.conversation.askAgain(last.id);
  }

  /** Ends it: what is in work is stopped, unless the panel shows it too. */
  dispose(stop: boolean): void {
    this.#listening.dispose();
    this.#pace.dispose();
    if (stop) this.conversation.stop();
    this.#thread.dispose();
  }

  #draw(): void {
    const { turns, working } = this.conversation;
    this.#thread.comments = commentsOf(this.conversation);
    this.#thread.contextValue = working ? "working" : "idle";
    // A sentence for screen readers, once: the thread itself is not announced while it changes.
    if (this.#wasWorking && !working) vscode.window.setStatusBarMessage(outcome(turns.at(-1)?.state), 5_000);
    this.#wasWorking = working;
  }
}

/** Questions and answers in turn; the first question is what the command is called. */
function commentsOf({ id, turns }: Conversation): vscode.Comment[] {
  return turns.flatMap((turn, index) => [
    ...(index === 0 ? [] : [comment("You", questionBody(turn))]),
    comment("Quire", answerBody(turn, addressOf, index === turns.length - 1 ? id : undefined), turn.answer?.model),
  ]);
}

function comment(name: string, { markdown, trusted }: Body, model?: string): vscode.Comment {
  const body = new vscode.MarkdownString(markdown);
  body.supportHtml = false;
  body.isTrusted = trusted.length > 0 ? { enabledCommands: trusted } : false;
  return {
    author: { name },
    body,
    mode: vscode.CommentMode.Preview,
    ...(model === undefined ? {} : { label: model }),
  };
}

function outcome(state: string | undefined): string {
  if (state === "failed") return vscode.l10n.t("Quire could not answer. The thread says why.");
  if (state === "stopped") return vscode.l10n.t("Quire stopped.");
  return vscode.l10n.t("Quire has answered under the selection.");
}

/** A file's own address with its line; the editor opens it there. */
function addressOf(path: string, line: number): string | undefined {
  const uri = uriOfPath(path);
  return uri === undefined ? undefined : uri.toString() + lineFragment(line);
}
