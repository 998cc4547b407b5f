// What is remembered of threads, and which turns yield when they no longer fit.

import assert from "node:assert/strict";
import { fitTurns, joinTurns, ThreadRecords } from "../../../engine/prefill/thread-records.ts";
import type { Turn } from "../../../engine/protocol.ts";

const turn = (question: string, answer = `${question}!`): Turn => ({ question, answer });
const ids = (...tokens: number[]): Int32Array => Int32Array.from(tokens);

describe("the records of threads", () => {
  it("recall the turns of a thread as far as they are the same", () => {
    const records = new ThreadRecords();
    records.remember("t", [], turn("a"), ids(1));
    records.remember("t", [turn("a")], turn("b"), ids(2));
    assert.deepEqual(records.recall("t", [turn("a"), turn("b")]), [ids(1), ids(2)]);
    assert.deepEqual(records.recall("t", [turn("a"), turn("b", "another answer")]), [ids(1)]);
    assert.deepEqual(records.recall("t", [turn("b")]), []);
    assert.deepEqual(records.recall("another", [turn("a")]), []);
  });

  it("tell selections apart", () => {
    const records = new ThreadRecords();
    const selection = { path: "/a", startLine: 1, endLine: 2, text: "x" };
    records.remember("t", [], { ...turn("a"), selection }, ids(1));
    assert.deepEqual(records.recall("t", [{ ...turn("a"), selection: { ...selection } }]), [ids(1)]);
    assert.deepEqual(records.recall("t", [{ ...turn("a"), selection: { ...selection, text: "y" } }]), []);
    assert.deepEqual(records.recall("t", [turn("a")]), []);
  });

  it("go on from an earlier turn when a later one was taken back", () => {
    const records = new ThreadRecords();
    records.remember("t", [], turn("a"), ids(1));
    records.remember("t", [turn("a")], turn("b"), ids(2));
    records.remember("t", [turn("a")], turn("c"), ids(3));
    assert.deepEqual(records.recall("t", [turn("a"), turn("c")]), [ids(1), ids(3)]);
  });

  it("hold nothing behind a turn that they do not know", () => {
    const records = new ThreadRecords();
    records.remember("t", [turn("from before a restart")], turn("b"), ids(2));
    assert.deepEqual(records.recall("t", [turn("from before a restart"), turn("b")]), []);
  });

  it("forget the thread that was not used for longest", () => {
    const records = new ThreadRecords();
    for (let thread = 0; thread < 17; thread++) records.remember(String(thread), [], turn("a"), ids(thread));
    assert.deepEqual(records.recall("0", [turn("a")]), []);
    assert.deepEqual(records.recall("16", [turn("a")]), [ids(16)]);
  });
});

describe("the turns of a thread", () => {
  const long = [ids(1, 1, 1, 1, 1), ids(2, 2, 2, 2, 2)];
  const short = [ids(1, 1), ids(2, 2)];

  it("stay as they were where they fit", () => {
    assert.deepEqual(fitTurns(long, short, 1, 12), { turns: long, dropped: 0 });
  });
  it("lose what was looked up for them before any is left out", () => {
    assert.deepEqual(fitTurns(long, short, 1, 11), { turns: short, dropped: 0 });
    assert.deepEqual(fitTurns(long, short, 1, 6), { turns: short, dropped: 0 });
  });
  it("yield from the oldest on", () => {
    assert.deepEqual(fitTurns(long, short, 1, 5), { turns: [ids(2, 2)], dropped: 1 });
    assert.deepEqual(fitTurns(long, short, 1, 2), { turns: [], dropped: 2 });
    assert.deepEqual(fitTurns(long, short, 1, -5), { turns: [], dropped: 2 });
  });
  it("stand before the question with the template's pieces between them", () => {
    assert.deepEqual(joinTurns(short, ids(9), ids(7)), ids(1, 1, 9, 2, 2, 9, 7));
    assert.deepEqual(joinTurns([], ids(9), ids(7)), ids(7));
  });
});
