import assert from "node:assert/strict";
import { questionRows } from "../../../extension/talk/question-items.ts";

const history = ["Where is the budget chosen?", "What is a page?", "Where are pages scored?"];
const questions = (typed: string): string[] => questionRows(typed, history).map(({ question }) => question);

describe("the question box", () => {
  it("has what was typed first, and below it the earlier questions that fit", () => {
    assert.deepEqual(questions("where PAGE"), ["where PAGE", "Where are pages scored?"]);
    assert.equal(questionRows("where", history)[0]?.kind, "typed");
  });

  it("has all earlier questions when nothing is typed, and nothing that Enter could ask by mistake", () => {
    assert.deepEqual(questions("  "), history);
    assert.ok(questionRows("", history).every(({ kind }) => kind === "earlier"));
  });

  it("does not offer again what is typed already", () => {
    assert.deepEqual(questions("What is a page?"), ["What is a page?"]);
  });

  it("stays short", () => {
    const many = Array.from({ length: 50 }, (_, at) => `q${at}`);
    assert.equal(questionRows("", many).length, 20);
  });
});
