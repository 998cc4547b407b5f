// panel-state.test.ts — what the panel shows after each message; turns that a message does not touch stay the same objects.
import assert from "node:assert/strict";
import type { PanelState, PanelTurn } from "../../media/messages.ts";
import { applyMessage, markdownOf, workingTurn } from "../../media/panel-state.ts";

const turn = (id: string, changes: Partial<PanelTurn> = {}): PanelTurn => ({
  ...{ id, askedAt: 0, question: "?", state: "working", text: "", notices: [] },
  ...changes,
});
const state = (...turns: PanelTurn[]): PanelState => ({
  thread: { id: "t", turns },
  engine: { state: "ready" },
  history: [],
});

describe("the panel's state", () => {
  it("is the host's whole state", () => {
    const next = state(turn("a"));
    assert.equal(applyMessage(state(), { type: "state", state: next }), next);
  });

  it("takes text and progress for one turn and keeps the others", () => {
    const before = state(turn("a", { state: "done" }), turn("b", { text: "on" }));
    const after = applyMessage(applyMessage(before, { type: "text", turn: "b", text: "e" }), {
      ...{ type: "progress", turn: "b", progress: { stage: "answering" } },
    });
    assert.equal(after?.thread.turns[1]?.text, "one");
    assert.deepEqual(after?.thread.turns[1]?.progress, { stage: "answering" });
    assert.equal(after?.thread.turns[0], before.thread.turns[0]);
    assert.equal(before.thread.turns[1]?.text, "on");
    assert.equal(after && workingTurn(after)?.id, "b");
  });

  it("is the same object after a message about a turn that is not there, or before any state", () => {
    const before = state(turn("a"));
    assert.equal(applyMessage(before, { type: "text", turn: "z", text: "x" }), before);
    assert.equal(applyMessage(undefined, { type: "text", turn: "a", text: "x" }), undefined);
  });

  it("shows the streamed text until the answer is there", () => {
    assert.equal(markdownOf(turn("a", { text: "so far" })), "so far");
  });
});
