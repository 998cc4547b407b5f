// announce.test.ts — what a screen reader is told, once each: beginnings, quarters, endings, errors.
import assert from "node:assert/strict";
import { Announcer } from "../../media/announce.ts";
import type { EngineState, PanelProgress, PanelTurn } from "../../media/messages.ts";
import type { Shown } from "../../media/panel-state.ts";
import { result } from "../extension/talk/scripted-ask.ts";

const turn = (changes: Partial<PanelTurn> = {}): PanelTurn => ({
  ...{ id: "a", askedAt: 0, question: "?", state: "working", text: "", notices: [] },
  ...changes,
});
const recordedAnswer: NonNullable<PanelTurn["answer"]> = result("?", "");
const shown = (turns: PanelTurn[], engine: EngineState = { state: "ready" }): Shown => ({
  ...{ thread: { id: "t", turns }, engine, history: [] },
});
const texts = (all: Shown[]): string[] => {
  const announcer = new Announcer();
  return all.flatMap((each) => announcer.next(each).map(({ text, urgent }) => (urgent ? `! ${text}` : text)));
};
const reading = (done: number): PanelProgress => ({
  ...{ stage: "reading", done, total: 100 },
  tokensPerSecond: 1,
  secondsLeft: 100 - done,
});

describe("announcements", () => {
  const table: [string, Shown[], string[]][] = [
    ["nothing before the first state", [undefined], []],
    ["nothing of what was there", [shown([turn({ state: "done", text: "Old." })])], []],
    [
      "the beginning, once",
      [shown([]), shown([turn()]), shown([turn({ text: "x" })])],
      ["Quire is working on your question."],
    ],
    [
      "quarters, not the end of reading",
      [shown([turn()]), ...[0, 10, 26, 49, 80, 100].map((done) => shown([turn({ progress: reading(done) })]))],
      [
        "Reading the workspace. This is done once; later questions use what is in memory. About 2 minutes left.",
        "25 percent. About 1 minute left.",
        "75 percent. About 20 seconds left.",
      ],
    ],
    ["short stages not at all", [shown([turn()]), shown([turn({ progress: { stage: "planning" } })])], []],
    ["a stop", [shown([turn()]), shown([turn({ state: "stopped" })])], ["Stopped."]],
    [
      "a failure urgently, with what to do",
      [
        shown([turn()]),
        shown([turn({ state: "failed", failure: { code: "x", message: "No", nextStep: "Do.", remedies: [] } })]),
      ],
      ["! No. Do."],
    ],
    [
      "the engine's failure once",
      [shown([]), shown([], { state: "failed", message: "Gone" }), shown([], { state: "failed", message: "Gone" })],
      ["! Gone."],
    ],
    [
      "which state an answer read",
      [shown([turn()]), shown([turn({ state: "done", answer: { ...recordedAnswer, marked: "So." } })])],
      [
        "Answer: So. No citations. This answer read the files at commit 0123456ab of branch main; everything was read whole.",
      ],
    ],
    [
      "files that changed since, once an answer",
      [
        shown([turn({ state: "done", text: "So." })]),
        shown([turn({ state: "done", text: "So.", changedSince: ["a.ts"] })]),
        shown([turn({ state: "done", text: "So.", changedSince: ["a.ts", "b.ts"] })]),
      ],
      ["Changed since this answer: a.ts."],
    ],
    [
      "an answer that came at once",
      [shown([]), shown([turn({ state: "done", text: "It is so. More." })])],
      ["Answer: It is so. No citations."],
    ],
  ];
  for (const [what, states, expected] of table) it(`tell ${what}`, () => assert.deepEqual(texts(states), expected));
});
