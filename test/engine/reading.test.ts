// When a repository is read sparsely: only where it was asked for, never in exact mode, never with a list per query head.

import assert from "node:assert/strict";
import { toReading } from "../../engine/pipeline.ts";
import type { EngineSettings, SelectionParams } from "../../engine/protocol.ts";

const settings = (selection: Partial<SelectionParams>, exact = false): EngineSettings => ({
  model: "auto",
  tokenBudget: "auto",
  selection: { pageBudget: 1024, summary: "mean-spread", vote: "softmax", denseLayers: 1, ...selection },
  exact,
  threads: 0,
  cpu: "auto",
});

describe("reading", () => {
  it("is dense unless a budget is given, and in exact mode always", () => {
    assert.equal(toReading(settings({})), undefined);
    assert.equal(toReading(settings({ readingBudget: "dense" })), undefined);
    assert.equal(toReading(settings({ readingBudget: 2048 }, true)), undefined);
  });

  it("has the reading budget, whatever the answer's page budget is, and a vote that a block can take", () => {
    assert.equal(toReading(settings({ readingBudget: 2048 }))?.pageBudget, 2048);
    assert.equal(toReading(settings({ readingBudget: 2048, pageBudget: "dense" }))?.pageBudget, 2048);
    assert.equal(toReading(settings({ readingBudget: 2048 }))?.denseLayers, 1);
    assert.equal(toReading(settings({ readingBudget: 2048, vote: "per-head" }))?.vote, "softmax");
    assert.equal(toReading(settings({ readingBudget: 2048, vote: "max" }))?.vote, "max");
  });
});
