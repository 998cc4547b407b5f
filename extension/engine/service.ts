// service.ts — what the rest of the extension can ask of the engine, and what it gets besides. Types only.
//
// Whoever asks gives a question; workspace, unsaved editors and settings are read anew for each request. Every promise rejects
// with an EngineFailure (code, message, nextStep), soon after its signal aborts too, even where the engine hangs.

import type { AskResult, FetchEvent, MapResult, MemoryList, ModelRow, RemovedMemory } from "../../engine/protocol.ts";
import type { EngineState } from "../../media/messages.ts";
import type { AskEvents, Question } from "../talk/conversation.ts";

export interface Disposable {
  dispose(): void;
}

/** What would be read, and what the editor has to say about settings and folders. */
export type EditorPlan = MapResult & { notices: readonly string[] };

/** Of the plan that was made last. */
export interface EngineMemory {
  model: string;
  /** How the token budget came about, with its number. */
  budgetReason: string;
  plannedTokens: number;
  /** Of the repository, after the last answer; undefined: it is not read yet. */
  heldTokens?: number;
}

export interface EngineService extends Disposable {
  readonly state: EngineState;
  /** What the engine holds in memory or is about to read; undefined: nothing was planned since it began. */
  readonly memory: EngineMemory | undefined;
  /** Of state or memory. */
  onDidChange(listener: () => void): Disposable;
  ask(question: Question, events: AskEvents, signal: AbortSignal): Promise<AskResult>;
  /** What would be read with the settings as they are. */
  map(signal: AbortSignal): Promise<EditorPlan>;
  /**
   * Brings what is in memory in step with edited files, while nobody asks. Does nothing before the first answer; never rejects, and is
   * never seen in `state`.
   */
  follow(): Promise<void>;
  listModels(): Promise<ModelRow[]>;
  fetchModel(name: string, onProgress: (event: FetchEvent) => void, signal: AbortSignal): Promise<ModelRow>;
  /** What is kept on disk of what was read. */
  listMemories(): Promise<MemoryList>;
  pinMemory(id: string, pinned: boolean): Promise<null>;
  /** These wait for the question that runs. */
  removeMemory(id: string): Promise<RemovedMemory>;
  readMemoryAgain(id: string): Promise<RemovedMemory>;
  removeMemories(): Promise<RemovedMemory>;
  /** Ends the engine's process, if any, for other windows too; what is in work fails with "disposed". The next request starts a new one. */
  restart(): Promise<void>;
}
