import assert from "node:assert/strict";
import { type Position, selectedText } from "../../../extension/explain/selected-lines.ts";

const lines = ["function add(a, b) {", "  const sum = a + b;", "", "  return sum;", "}", ""];
const at = (line: number, character: number): Position => ({ line, character });

describe("the text that a selection means", () => {
  const cases: [string, Position, Position, ReturnType<typeof selectedText>][] = [
    ["whole lines", at(1, 8), at(3, 4), { startLine: 2, endLine: 4, text: "  const sum = a + b;\n\n  return sum;" }],
    ["not the line at whose beginning it ends", at(0, 0), at(1, 0), { startLine: 1, endLine: 1, text: lines[0] ?? "" }],
    ["a part of one line as it is", at(1, 14), at(1, 19), { startLine: 2, endLine: 2, text: "a + b" }],
    ["the line, when nothing is selected", at(3, 5), at(3, 5), { startLine: 4, endLine: 4, text: "  return sum;" }],
    ["no empty lines around it", at(2, 0), at(5, 0), { startLine: 4, endLine: 5, text: "  return sum;\n}" }],
    ["nothing, where there is only space", at(2, 0), at(2, 0), undefined],
    ["nothing, where only space is selected", at(1, 0), at(1, 2), undefined],
  ];
  for (const [what, start, end, expected] of cases)
    it(`is ${what}`, () => assert.deepEqual(selectedText(lines, start, end), expected));

  it("is bounded", () => {
    assert.equal(selectedText(["x".repeat(1_000_000)], at(0, 0), at(0, 0))?.text.length, 100_000);
  });
});
