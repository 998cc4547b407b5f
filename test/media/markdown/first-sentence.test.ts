// first-sentence.test.ts — what a screen reader hears of an answer.
import assert from "node:assert/strict";
import { firstSentence } from "../../../media/markdown/first-sentence.ts";

const table: [string, string, string][] = [
  ["plain prose", "It reads files. Then it plans.", "It reads files."],
  ["markers", "It reads `a.ts` [1] and `b.ts` [?]. More.", "It reads a.ts and b.ts."],
  ["dots within names", "See `engine.ask()` in src/a.ts for it. Then more.", "See engine.ask() in src/a.ts for it."],
  ["emphasis and links", "The **main** _idea_ is [here](x.ts). B.", "The main _idea_ is here."],
  ["a heading first", "# Title\n\nThe text. More.", "The text."],
  ["a code block first", "```ts\nlet a. b\n```\nThen text. More", "Then text."],
  ["only an open code block", "```ts\nlet a", ""],
  ["a list", "- One thing\n- Another", "One thing."],
  ["a colon at the end", "There are three files:\n\n- a", "There are three files."],
  ["nothing", "", ""],
  ["names with underscores", "Use `a_b_c` here.", "Use a_b_c here."],
];

describe("the first sentence", () => {
  for (const [what, markdown, expected] of table)
    it(`of ${what}`, () => assert.equal(firstSentence(markdown), expected));

  it("of a long line is cut, and quickly", () => {
    const began = performance.now();
    assert.ok(firstSentence("word ".repeat(200_000)).length < 320);
    assert.ok(firstSentence("*".repeat(1_000_000)).length < 320);
    assert.ok(firstSentence("```\n".repeat(200_000)).length < 320);
    assert.ok(performance.now() - began < 1_000);
  });
});
