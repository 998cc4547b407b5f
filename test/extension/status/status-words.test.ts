// status-words.test.ts — the status item's words: a sentence for every state.

import assert from "node:assert/strict";
import { statusWords } from "../../../extension/status/status-words.ts";
import type { EngineState } from "../../../media/messages.ts";

describe("the status item", () => {
  const cases: [EngineState, RegExp, RegExp][] = [
    [{ state: "stopped" }, /^\$\(book\) Quire$/, /not running/],
    [{ state: "starting" }, /spin/, /starting/],
    [{ state: "reading", percent: 42 }, /42 %/, /has read 42 %/],
    [{ state: "ready" }, /^\$\(book\) Quire$/, /ready/],
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
});
