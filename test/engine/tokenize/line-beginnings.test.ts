// line-beginnings.test.ts — where lines and top-level blocks begin, over a tokenizer of a few pieces.

import assert from "node:assert/strict";
import { lineBeginnings } from "../../../engine/tokenize/line-beginnings.ts";

describe("the beginnings of lines", () => {
  const pieces = ["def", " f", "():\n", "    ", "return", " 1", "\n\n", "}", "\n", "class"];
  const beginningsOf = lineBeginnings({ decode: (ids) => [...ids].map((id) => pieces[id] ?? "").join("") });

  it("are told from those that are indented or close a block", () => {
    const tokens = Int32Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual([...beginningsOf(tokens)], [2, 0, 0, 1, 0, 0, 0, 1, 0, 2]);
  });

  it("of nothing are nothing", () => assert.deepEqual([...beginningsOf(new Int32Array())], []));
});
