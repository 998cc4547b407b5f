import assert from "node:assert/strict";
import type { KeptThread } from "../../../extension/talk/conversation.ts";
import { packThreads, unpackThreads } from "../../../extension/talk/kept-threads.ts";

function thread(id: string, text = "answer", rows = 1): KeptThread {
  return {
    id,
    turns: [
      { turn: { id: `${id}-1`, askedAt: 5, question: "q", state: "done", text, notices: [] }, written: "answer" },
    ],
    reading: {
      model: "m",
      tokenBudget: 10,
      budgetReason: "r",
      usedTokens: 5,
      documents: Array.from({ length: rows }, (_, at) => ({ path: `f${at}`, detail: "full" as const, tokens: 1 })),
      leftOut: [],
    },
  };
}

const again = (threads: KeptThread[]): KeptThread[] =>
  unpackThreads(JSON.parse(JSON.stringify(packThreads(threads)) ?? "null"));

describe("kept threads", () => {
  it("come back as they were", () => {
    assert.deepEqual(again([thread("a"), thread("b")]), [thread("a"), thread("b")]);
  });

  it("are the newest twenty", () => {
    const many = Array.from({ length: 30 }, (_, at) => thread(`t${at}`));
    assert.deepEqual(
      again(many).map(({ id }) => id),
      many.slice(10).map(({ id }) => id),
    );
  });

  it("are as many as fit into a million characters, and always the last", () => {
    const big = (id: string): KeptThread => thread(id, "x".repeat(400_000));
    assert.equal(again([big("a"), big("b"), big("c")]).length, 2);
    assert.equal(again([thread("a"), thread("b", "x".repeat(2_000_000))]).length, 1);
  });

  it("leave out a list of files that is too long to keep", () => {
    assert.equal(again([thread("a", "", 1_001)])[0]?.reading, undefined);
    assert.equal(again([thread("a", "", 1_000)])[0]?.reading?.documents.length, 1_000);
  });

  it("drop what another version or a broken storage left", () => {
    const good = { version: 1, threads: [thread("a"), { id: 3 }, { ...thread("b"), turns: [{ turn: {} }] }] };
    assert.deepEqual(
      unpackThreads(good).map(({ id }) => id),
      ["a"],
    );
    for (const kept of [undefined, null, "x", {}, { version: 2, threads: [] }])
      assert.deepEqual(unpackThreads(kept), []);
  });
});
