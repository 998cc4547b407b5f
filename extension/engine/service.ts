// service.ts — what the rest of the extension can ask of the engine, and what it gets besides. Types only.
//
// Whoever asks gives a question; workspace, unsaved editors and settings are read anew for each request. Every promise rejects
// with an EngineFailure (code, message, nextStep), soon after its signal aborts too, even where the engine hangs.

import type { AskResult, FetchEvent, MapResult, ModelRow } from "../../engine/protocol.ts";
import type { EngineState, PanelProgress } from "../../media/messages.ts";
import type { AskEvents, Question } from "../talk/conversation.ts";

export interface Disposable {
  dispose(): void;
}

export interface EngineService extends Disposable {
  readonly state: EngineState;
  /** What the request in work is doing; undefined: none is in work. */
  readonly progress: PanelProgress | undefined;
  onDidChangeState(listener: () => void): Disposable;
  ask(question: Question, events: AskEvents, signal: AbortSignal): Promise<AskResult>;
  /** What would be read with the settings as they are. */
  map(signal: AbortSignal): Promise<MapResult>;
  listModels(): Promise<ModelRow[]>;
  fetchModel(name: string, onProgress: (event: FetchEvent) => void, signal: AbortSignal): Promise<ModelRow>;
  /** Ends the engine's process, if any; what is in work fails with "disposed". The next request starts a new one. */
  restart(): Promise<void>;
}
