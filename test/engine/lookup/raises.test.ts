// raises.test.ts — which lines of a function raise an error, in several languages' shapes.

import assert from "node:assert/strict";
import type { Block } from "../../../engine/lookup/blocks.ts";
import { raisingLines } from "../../../engine/lookup/raises.ts";

function check(source: string, expected: string[]): void {
  const lines = source.split("\n");
  const block: Block = { start: 1, end: lines.length, signature: 1, name: "f", within: "", container: false };
  const found = raisingLines(block, lines);
  assert.deepEqual(
    found.map(({ text }) => text),
    expected,
  );
  for (const { line, text } of found) assert.equal(lines[line - 1]?.trim(), text);
}

describe("raising lines", () => {
  const cases: [string, string, string[]][] = [
    ["Python's raise", "def f():\n    raise KeyError(key)\n", ["raise KeyError(key)"]],
    ["not a bare raise", "def f():\n    raise\n", []],
    ["not a word of a doc string", "def f():\n    raise (default)\n        If any key is missing, raise it.\n", []],
    ["JavaScript's throw", "function f() {\n  throw new Oops(1);\n}", ["throw new Oops(1);"]],
    [
      "an error that is handed on",
      "function f(done) {\n  done(Object.assign(new Error('no'), { code: 'ENO' }));\n}",
      ["done(Object.assign(new Error('no'), { code: 'ENO' }));"],
    ],
    ["a rejected promise", "function f() {\n  return Promise.reject(reason);\n}", ["return Promise.reject(reason);"]],
    ["Rust's panic", 'fn f() {\n    panic!("no");\n}', ['panic!("no");']],
    ["not a comment", "function f() {\n  // throw new Error()\n  return isError(x);\n}", []],
  ];
  for (const [what, source, expected] of cases) it(`are those with ${what}`, () => check(source, expected));

  it("are at most five of a function", () => {
    const many = Array.from({ length: 9 }, (_, i) => `  throw new Error("${i}");`);
    check(
      ["f() {", ...many, "}"].join("\n"),
      many.slice(0, 5).map((line) => line.trim()),
    );
  });
});
