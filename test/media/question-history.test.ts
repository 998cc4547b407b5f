// question-history.test.ts — back and forth through earlier questions, and what was being typed is not lost.
import assert from "node:assert/strict";
import { QuestionHistory } from "../../media/question-history.ts";

describe("the question box's history", () => {
  it("goes to older ones and stops at the oldest, comes back to what was typed", () => {
    const history = new QuestionHistory();
    const questions = ["new", "old"];
    assert.equal(history.newer(questions), undefined);
    assert.equal(history.older(questions, "typed"), "new");
    assert.equal(history.older(questions, "new"), "old");
    assert.equal(history.older(questions, "old"), undefined);
    assert.equal(history.newer(questions), "new");
    assert.equal(history.newer(questions), "typed");
    assert.equal(history.isRecalling, false);
    assert.equal(history.older(questions, "typed"), "new");
  });

  it("has nothing where nothing was asked, and begins anew after a reset", () => {
    const history = new QuestionHistory();
    assert.equal(history.older([], "x"), undefined);
    history.older(["a", "b"], "x");
    history.reset();
    assert.equal(history.older(["a", "b"], "y"), "a");
  });
});
