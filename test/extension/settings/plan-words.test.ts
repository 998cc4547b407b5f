// plan-words.test.ts — the plan of the next question in words.

import assert from "node:assert/strict";
import type { MapResult } from "../../../engine/protocol.ts";
import { planPage, planSentence } from "../../../extension/settings/plan-words.ts";

const plan: MapResult = {
  model: "small",
  documents: [
    { path: "(instructions)", detail: "full", tokens: 100 },
    { path: "src/a.ts", detail: "full", tokens: 1200 },
    { path: "src/b.ts", detail: "full", tokens: 30 },
    { path: "src/c.ts", detail: "outline", tokens: 12 },
    { path: "(outline)", detail: "outline", tokens: 20 },
  ],
  leftOut: [{ path: "yarn.lock", reason: "lock file", detail: "generated" }],
  tokenBudget: 20000,
  budgetReason: "20 000 tokens, as asked",
  usedTokens: 1362,
  memoryBytes: 1_500_000_000,
};

describe("the plan in words", () => {
  it("is a sentence with tokens, files, memory and model", () => {
    assert.equal(
      planSentence(plan),
      "Quire would read 1,362 tokens (budget: 20 000 tokens, as asked): 2 of 4 files in full, 1.5 GB of memory with small.",
    );
  });

  it("is a page with every file once, the largest first, and reasons", () => {
    const lines = planPage(plan, ["Left out: remote."]).split("\n");
    const place = (part: string): number => lines.findIndex((line) => line.includes(part));
    assert.ok(place("## 2 files in full") < place("src/a.ts") && place("src/a.ts") < place("src/b.ts"));
    assert.ok(place("## 1 file as an outline") < place("src/c.ts"));
    assert.equal(lines[place("yarn.lock")], "lock file (generated): yarn.lock");
    assert.ok(place("Left out: remote.") < place("## 2 files in full"));
    assert.equal(place("by name only"), -1);
    assert.ok(place("120 tokens of instructions") > 0);
  });
});
