// talk.ts — what was and is asked in this workspace: the current thread, earlier ones, and the questions of all of them.
//
// The panel, the commands and the inline threads share one of these. It keeps what it holds in the workspace's storage, so
// that a reloaded window shows it again; a turn that was in work comes back as stopped. Knows no editor.

import { markChanged } from "./changed-since.ts";
import { type Change, Conversation, type ConversationDeps, type KeptThread, type Subject } from "./conversation.ts";
import { remember, restoreHistory } from "./history.ts";
import { packThreads, unpackThreads } from "./kept-threads.ts";

/** What outlives the window, for one workspace: KeptFile, or the editor's own storage. */
export interface Storage {
  get(key: string): unknown;
  update(key: string, value: unknown): void;
}

export interface TalkDeps extends ConversationDeps {
  storage: Storage;
  /** Milliseconds between two savings while an answer streams. */
  saveEvery?: number;
}

const threadsKey = "quire.threads";
const historyKey = "quire.history";

export class Talk {
  #current: Conversation;
  #listening: { dispose(): void };
  /** Not the current one, oldest first. */
  #earlier: KeptThread[];
  #history: string[];
  #listeners = new Set<(change: Change) => void>();
  #timer: NodeJS.Timeout | undefined;
  readonly #deps: TalkDeps;

  constructor(deps: TalkDeps) {
    this.#deps = deps;
    this.#history = restoreHistory(deps.storage.get(historyKey));
    this.#earlier = unpackThreads(deps.storage.get(threadsKey));
    this.#current = new Conversation(deps, this.#earlier.pop());
    this.#listening = this.#current.onDidChange((change) => this.#changed(change));
  }

  get current(): Conversation {
    return this.#current;
  }

  get history(): readonly string[] {
    return this.#history;
  }

  /** Earlier threads, newest first: id, first question, when it was asked. */
  get earlier(): { id: string; question: string; askedAt: number; turns: number }[] {
    return this.#earlier.toReversed().flatMap(({ id, turns }) => {
      const first = turns[0]?.turn;
      return first === undefined ? [] : [{ id, question: first.question, askedAt: first.askedAt, turns: turns.length }];
    });
  }

  /** Asks something new: in a thread of its own, unless an answer is in work here; then it is asked after it. */
  ask(question: string): void {
    if (this.#current.turns.length > 0 && !this.#current.working) this.newThread();
    this.followUp(question);
  }

  /** Asks in the current thread. */
  followUp(question: string): void {
    if (question.trim() === "") return;
    this.remember(question);
    this.#current.ask(question);
  }

  askAgain(turn: string): void {
    this.#current.askAgain(turn);
  }

  stop(): void {
    this.#current.stop();
  }

  /** A conversation for a place of its own (an inline thread); not kept unless it is shown in the panel. */
  aside(question: string, subject: Subject): Conversation {
    const conversation = new Conversation(this.#deps);
    conversation.ask(question, subject);
    return conversation;
  }

  newThread(): void {
    const next = new Conversation(this.#deps);
    // The memory stays as it was read; only the thread's own tokens are free again.
    const { reading, meter } = this.#current;
    next.reading = reading;
    if (meter !== undefined) {
      const { memoryTokens, threadTokens, freeTokens } = meter;
      next.meter = { memoryTokens, threadTokens: 0, freeTokens: freeTokens + threadTokens };
    }
    this.show(next);
  }

  /** Makes an earlier thread the current one. */
  openThread(id: string): void {
    const kept = this.#earlier.find((thread) => thread.id === id);
    if (kept !== undefined) this.show(new Conversation(this.#deps, kept));
  }

  /** Makes a conversation the current one; what was current is stopped and kept among the earlier ones. */
  show(conversation: Conversation): void {
    if (conversation === this.#current) return;
    const before = this.#current;
    before.stop();
    this.#listening.dispose();
    this.#earlier = this.#earlier.filter(({ id }) => id !== conversation.id);
    if (before.turns.length > 0) this.#earlier.push(before.keep());
    this.#current = conversation;
    this.#listening = conversation.onDidChange((change) => this.#changed(change));
    this.#changed({ kind: "turns" });
  }

  remember(question: string): void {
    this.#history = remember(this.#history, question);
    this.#deps.storage.update(historyKey, this.#history);
  }

  /** Forgets every question and answer of this workspace. */
  clear(): void {
    this.#history = [];
    this.#deps.storage.update(historyKey, []);
    this.newThread();
    this.#earlier = [];
    this.#changed({ kind: "turns" });
  }

  /** Files changed, by their paths as shown: answers of all threads that read them say so. */
  filesChanged(paths: readonly string[]): void {
    this.#earlier = this.#earlier.map((thread) => {
      const turns = markChanged(thread, paths);
      return turns === undefined ? thread : { ...thread, turns };
    });
    this.#current.filesChanged(paths);
  }

  onDidChange(listener: (change: Change) => void): { dispose(): void } {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  /** Saves what streamed since the last saving. */
  dispose(): void {
    this.#listening.dispose();
    this.#listeners.clear();
    this.#save();
  }

  #changed(change: Change): void {
    if (change.kind === "turns") this.#save();
    else if (change.kind === "text") this.#timer ??= setTimeout(() => this.#save(), this.#deps.saveEvery ?? 2_000);
    for (const listener of [...this.#listeners]) listener(change);
  }

  #save(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#deps.storage.update(threadsKey, packThreads([...this.#earlier, this.#current.keep()]));
  }
}
