// scripted-ask.ts — an AskPort that the test plays: what was asked, and hands to answer, fail and stream with. The state machine
// is under test here, not the engine; that one answers in test/models and in the editor's tests.
import type { AskResult } from "../../../engine/protocol.ts";
import type { AskEvents, AskPort, ConversationDeps, Question } from "../../../extension/talk/conversation.ts";

export interface Asked {
  question: Question;
  events: AskEvents;
  signal: AbortSignal;
  answer(text: string, changes?: Partial<AskResult>): void;
  fail(error: unknown): void;
}

export function scripted(): { deps: ConversationDeps; asked: Asked[]; ask: AskPort } {
  const asked: Asked[] = [];
  const ask: AskPort = (question, events, signal) =>
    new Promise((resolve, reject) => {
      asked.push({
        question,
        events,
        signal,
        answer: (text, changes) => resolve(result(question.question, text, changes)),
        fail: reject,
      });
    });
  let ids = 0;
  return { asked, ask, deps: { ask, newId: () => `id${++ids}`, now: () => 1_700_000_000_000 + ids } };
}

/** Lets promises that are settled run on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function result(question: string, answer: string, changes: Partial<AskResult> = {}): AskResult {
  return {
    question,
    model: "smollm2-135m",
    preface: "",
    answer,
    marked: answer,
    stop: "stop-token",
    citations: [],
    documents: [{ path: "src/a.ts", detail: "full", tokens: 100 }],
    leftOut: [{ path: "logo.png", reason: "binary" }],
    lookedUp: [],
    tokenBudget: 2_000,
    budgetReason: "you chose it",
    meter: { memoryTokens: 100, threadTokens: 40, freeTokens: 860 },
    loaded: [],
    state: {
      folders: [{ folder: "w", commit: "0123456ab", branch: "main", changedFiles: 0 }],
      unsavedFiles: 0,
      reading: "whole",
    },
    stats: {
      promptTokens: 140,
      reusedTokens: 100,
      prefilledTokens: 40,
      patchedTokens: 0,
      prefillSeconds: 0.5,
      decodedTokens: 12,
      draftedTokens: 0,
      acceptedTokens: 0,
      decodeTokensPerSecond: 30,
      timeToFirstTokenMs: 700,
      pagesScored: 10,
      pagesSelected: 10,
      pagesAttended: 10,
      pagesTotal: 20,
      backend: "cpu avx2",
    },
    ...changes,
  };
}
