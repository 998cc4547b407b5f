import assert from "node:assert/strict";
import fc from "fast-check";
import { remember, restoreHistory } from "../../../extension/talk/history.ts";

describe("the history of questions", () => {
  it("has the newest first, each once", () => {
    assert.deepEqual(remember(["b", "a"], " a "), ["a", "b"]);
  });

  it("keeps no empty and no very long question", () => {
    assert.deepEqual(remember(["a"], " "), ["a"]);
    assert.deepEqual(remember(["a"], "x".repeat(3_000)), ["a"]);
  });

  it("stays bounded and without doubles, and comes back as it was", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 3 }), { maxLength: 120 }), (questions) => {
        const history = questions.reduce<string[]>((kept, question) => remember(kept, question), []);
        assert.ok(history.length <= 50);
        assert.equal(new Set(history).size, history.length);
        assert.deepEqual(restoreHistory(JSON.parse(JSON.stringify(history))), history);
      }),
    );
  });

  it("drops what is no history", () => {
    for (const kept of [undefined, null, 3, "a", { length: 1 }]) assert.deepEqual(restoreHistory(kept), []);
    assert.deepEqual(restoreHistory(["a", 3, null, "a", "b"]), ["a", "b"]);
  });
});
