// status-words.test.ts — the status item's words: a sentence for every state.

import assert from "node:assert/strict";
import { memoryLines, statusWords } from "../../../extension/status/status-words.ts";
import type { EngineState } from "../../../media/messages.ts";

describe("the status item", () => {
  const cases: [EngineState, RegExp, RegExp][] = [
    [{ state: "stopped" }, /^\$\(book\) Quire$/, /not running/],
    [{ state: "starting" }, /spin/, /starting/],
    [{ state: "reading", percent: 42 }, /42 %/, /has read 42 %/],
    [{ state: "ready" }, /^\$\(book\) Quire$/, /ready/],
    [{ state: "fetching", percent: 7 }, /7 %/, /downloaded 7 %/],
    [{ state: "preparing" }, /spin/, /planning what to read/],
    [{ state: "answering" }, /spin/, /answering/],
    [{ state: "failed", message: "Out of memory." }, /error/, /Out of memory\./],
  ];
  for (const [state, text, sentence] of cases) {
    it(`says that the engine is ${state.state}`, () => {
      const words = statusWords(state);
      assert.match(words.text, text);
      assert.match(words.sentence, sentence);
      assert.match(words.sentence, /\.$/);
      assert.equal(words.failed, state.state === "failed");
    });
  }

  it("names the model, the tokens of the budget, and why that budget", () => {
    const memory = { model: "m", budgetReason: "26000 tokens, bounded by free memory", plannedTokens: 1_234 };
    const budget = "Budget: 26000 tokens, bounded by free memory";
    assert.deepEqual(memoryLines(memory), ["Model: m", "To be read: 1,234 tokens", budget]);
    const held = "In memory: 1,200 tokens of this workspace";
    assert.deepEqual(memoryLines({ ...memory, heldTokens: 1_200 }), ["Model: m", held, budget]);
  });
});
