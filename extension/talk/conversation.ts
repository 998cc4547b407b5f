// conversation.ts — one thread of questions and answers, as a state machine.
//
// In: questions, stop, ask again. Out: turns for the panel and the inline threads, and a change for each thing that happened.
// Questions asked while another is being answered wait for it, in order: a follow-up needs the answer before it. Knows no
// editor; how a question reaches the engine is `AskPort`.

import type { AskResult, SelectedCode, Turn } from "../../engine/protocol.ts";
import type { PanelAnswer, PanelProgress, PanelReading, PanelState, PanelTurn } from "../../media/messages.ts";
import { markChanged } from "./changed-since.ts";
import { isStop, toFailure } from "./failures.ts";

/** What is asked of the engine. */
export interface Question {
  question: string;
  selection?: SelectedCode;
  thread: { id: string; turns: Turn[] };
}

export interface AskEvents {
  progress(progress: PanelProgress): void;
  text(text: string): void;
  planned(reading: PanelReading): void;
  notice(message: string): void;
}

export type AskPort = (question: Question, events: AskEvents, signal: AbortSignal) => Promise<AskResult>;

/** Code that a question is about, with its path as Quire shows it. */
export interface Subject {
  selection: SelectedCode;
  shownPath: string;
}

export type Meter = NonNullable<PanelState["meter"]>;

/** A turn with what the panel does not need to know. */
export interface KeptTurn {
  turn: PanelTurn;
  selection?: SelectedCode | undefined;
  /** The answer as the model wrote it; absent: it wrote none that a follow-up could build on. */
  written?: string | undefined;
}

/** What of a conversation is kept over a reload. */
export interface KeptThread {
  id: string;
  turns: KeptTurn[];
  reading?: PanelReading | undefined;
  meter?: Meter | undefined;
}

export type Change =
  /** A turn came, ended or changed its state; a plan or a notice came. */
  | { kind: "turns" }
  | { kind: "progress"; turn: string; progress: PanelProgress }
  | { kind: "text"; turn: string; text: string };

export interface ConversationDeps {
  ask: AskPort;
  newId(): string;
  now(): number;
}

export class Conversation {
  readonly id: string;
  reading: PanelReading | undefined;
  meter: Meter | undefined;
  #turns: KeptTurn[];
  #listeners = new Set<(change: Change) => void>();
  #running: { turn: string; controller: AbortController } | undefined;
  readonly #deps: ConversationDeps;

  constructor(deps: ConversationDeps, kept: KeptThread = { id: deps.newId(), turns: [] }) {
    this.#deps = deps;
    this.id = kept.id;
    this.#turns = kept.turns.map(ended);
    this.reading = kept.reading;
    this.meter = kept.meter;
  }

  get turns(): PanelTurn[] {
    return this.#turns.map(({ turn }) => turn);
  }

  get working(): boolean {
    return this.#turns.some(({ turn }) => turn.state === "working");
  }

  /** Asks; the answer comes through `turns`. Returns the turn's id. */
  ask(question: string, subject?: Subject): string {
    const { selection, shownPath } = subject ?? {};
    const id = this.#deps.newId();
    const scope =
      selection === undefined || shownPath === undefined
        ? {}
        : { scope: { path: shownPath, startLine: selection.startLine, endLine: selection.endLine } };
    const turn: PanelTurn = {
      id,
      askedAt: this.#deps.now(),
      question: question.trim(),
      ...scope,
      state: "working",
      progress: { stage: this.#running === undefined ? "starting" : "waiting" },
      text: "",
      notices: [],
    };
    this.#turns.push({ turn, selection });
    this.#changed({ kind: "turns" });
    this.#next();
    return id;
  }

  /** Asks a turn's question again: in its place if it is the last one, else as the newest. */
  askAgain(turnId: string): string | undefined {
    const at = this.#turns.findIndex(({ turn }) => turn.id === turnId);
    const kept = this.#turns[at];
    if (kept === undefined || kept.turn.state === "working") return undefined;
    const { scope, question } = kept.turn;
    if (at === this.#turns.length - 1) this.#turns.pop();
    const subject =
      kept.selection === undefined || scope === undefined
        ? undefined
        : { selection: kept.selection, shownPath: scope.path };
    return this.ask(question, subject);
  }

  /** Stops what is in work and what waits for it. */
  stop(): void {
    this.#turns = this.#turns.map((kept) =>
      kept.turn.state === "working" && kept.turn.id !== this.#running?.turn ? ended(kept) : kept,
    );
    if (this.#running === undefined) return;
    const { turn, controller } = this.#running;
    controller.abort();
    // Shown as stopped at once; what the engine still says of it is added when it has ended.
    this.#update(turn, ended);
    this.#changed({ kind: "turns" });
  }

  /** Files changed, saved or not: answers that read them say so. */
  filesChanged(paths: readonly string[]): void {
    const marked = markChanged(this.keep(), paths);
    if (marked === undefined) return;
    this.#turns = marked;
    this.#changed({ kind: "turns" });
  }

  onDidChange(listener: (change: Change) => void): { dispose(): void } {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  /** What to keep of it; as it stands, so that a turn in work comes back with the text it had. */
  keep(): KeptThread {
    return { id: this.id, turns: [...this.#turns], reading: this.reading, meter: this.meter };
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const kept = this.#turns.find(({ turn }) => turn.state === "working");
    if (kept !== undefined) void this.#run(kept);
  }

  async #run({ turn: { id, question }, selection }: KeptTurn): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    this.#running = { turn: id, controller };
    const before = this.#turns.slice(
      0,
      this.#turns.findIndex(({ turn }) => turn.id === id),
    );
    try {
      const result = await this.#deps.ask(
        {
          question,
          ...(selection === undefined ? {} : { selection }),
          thread: { id: this.id, turns: before.flatMap(toEngineTurn) },
        },
        this.#eventsOf(id, signal),
        signal,
      );
      this.#finish(id, result);
    } catch (error) {
      this.#update(id, (kept) => (signal.aborted || isStop(error) ? ended(kept) : failed(kept, error)));
    }
    this.#running = undefined;
    this.#changed({ kind: "turns" });
    this.#next();
  }

  #eventsOf(id: string, signal: AbortSignal): AskEvents {
    // What the engine says after a stop changes nothing any more.
    const live = (run: () => void): void => {
      if (!signal.aborted) run();
    };
    return {
      progress: (progress) =>
        live(() => {
          this.#updateTurn(id, (turn) => ({ ...turn, progress }));
          this.#changed({ kind: "progress", turn: id, progress });
        }),
      text: (text) =>
        live(() => {
          this.#updateTurn(id, (turn) => ({ ...turn, text: turn.text + text }));
          this.#changed({ kind: "text", turn: id, text });
        }),
      planned: (reading) =>
        live(() => {
          this.reading = reading;
          this.#changed({ kind: "turns" });
        }),
      notice: (message) =>
        live(() => {
          this.#updateTurn(id, (turn) => ({ ...turn, notices: [...turn.notices, message] }));
          this.#changed({ kind: "turns" });
        }),
    };
  }

  #finish(id: string, result: AskResult): void {
    const { model, documents, leftOut, tokenBudget, budgetReason, meter } = result;
    const usedTokens = documents.reduce((sum, { tokens }) => sum + tokens, 0);
    this.reading = { model, tokenBudget, budgetReason, usedTokens, documents, leftOut };
    this.meter = meter;
    this.#update(id, ({ turn: { progress: _, ...turn }, selection }) => ({
      turn: { ...turn, state: result.stop === "cancelled" ? "stopped" : "done", text: "", answer: toAnswer(result) },
      selection,
      ...(result.answer === "" ? {} : { written: result.answer }),
    }));
  }

  #updateTurn(id: string, change: (turn: PanelTurn) => PanelTurn): void {
    this.#update(id, (kept) => ({ ...kept, turn: change(kept.turn) }));
  }

  #update(id: string, change: (kept: KeptTurn) => KeptTurn): void {
    this.#turns = this.#turns.map((kept) => (kept.turn.id === id ? change(kept) : kept));
  }

  #changed(change: Change): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}

/** A turn that is no longer in work, whatever became of it. */
function ended(kept: KeptTurn): KeptTurn {
  if (kept.turn.state !== "working") return kept;
  const { progress: _, ...turn } = kept.turn;
  return { ...kept, turn: { ...turn, state: "stopped" } };
}

function failed(kept: KeptTurn, error: unknown): KeptTurn {
  const { progress: _, ...turn } = kept.turn;
  return { ...kept, turn: { ...turn, state: "failed", failure: toFailure(error) } };
}

function toEngineTurn({ turn, selection, written }: KeptTurn): Turn[] {
  if (written === undefined) return [];
  return [{ question: turn.question, answer: written, ...(selection === undefined ? {} : { selection }) }];
}

function toAnswer(result: AskResult): PanelAnswer {
  const { model, preface, marked, stop, citations, lookedUp, loaded, state, stats } = result;
  return { model, preface, marked, stop, citations, lookedUp, loaded, state, stats };
}
