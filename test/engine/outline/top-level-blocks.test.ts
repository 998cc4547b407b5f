// Blocks cover each line once, whatever the outline says.

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Outline, outline } from "../../../engine/outline/outline.ts";
import { type BlockRange, topLevelBlocks } from "../../../engine/outline/top-level-blocks.ts";

async function check(file: string, text: string, expected: [number, number][]): Promise<void> {
  const found = await outline(file, text);
  const blocks = topLevelBlocks(text.split("\n").length, found);
  assert.deepEqual(
    blocks.map(({ startLine, endLine }): [number, number] => [startLine, endLine]),
    expected,
  );
}

describe("top-level blocks", () => {
  it("are the outermost definitions, each with what stands before it", () =>
    check("a.py", "import os\n\n# about f\ndef f():\n  pass\n\nclass A:\n  def m(self):\n    pass\nprint(1)", [
      [1, 5],
      [6, 9],
      [10, 10],
    ]));

  it("keep a class whole and split what is in a namespace", () =>
    check("a.cpp", "namespace n {\nint f() {\n}\nclass A {\n int g();\n};\n}", [
      [1, 3],
      [4, 6],
      [7, 7],
    ]));

  it("take members defined outside of their class as blocks", () =>
    check("a.cpp", "int A::f() {\n}\nint A::g() {\n}", [
      [1, 2],
      [3, 4],
    ]));

  it("are one block without an outline, and none without lines", () => {
    assert.deepEqual(topLevelBlocks(7, undefined), [{ startLine: 1, endLine: 7 }]);
    assert.deepEqual(topLevelBlocks(0, undefined), []);
  });

  it("cover each line once, in order, for any outline", () => {
    const anySymbol = fc.record({ line: fc.integer({ min: 1, max: 60 }), length: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(anySymbol), fc.nat(50), (symbols, lineCount) => {
        const found: Outline = {
          symbols: symbols.map(({ line, length }) => {
            return { name: "x", kind: "function", line, endLine: line + length, signature: "x" };
          }),
        };
        const blocks: BlockRange[] = topLevelBlocks(lineCount, found);
        let next = 1;
        for (const { startLine, endLine } of blocks) {
          assert.equal(startLine, next);
          assert.ok(endLine >= startLine);
          next = endLine + 1;
        }
        assert.equal(next, lineCount + 1);
      }),
    );
  });
});
