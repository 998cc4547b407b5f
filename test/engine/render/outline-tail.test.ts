// The outline tail within its tokens: who keeps a line, who keeps symbols, and in which order they stand.

import assert from "node:assert/strict";
import fc from "fast-check";
import { type OutlinedFile, renderOutlineTail } from "../../../engine/render/outline-tail.ts";

/** One token per word or mark: near enough for what is decided here. */
const count = (text: string): number => text.match(/\w+|[^\w\s]/g)?.length ?? 0;
const opening = "Outline of the repository, as path: symbols\n";
const openingTokens = count(opening);

function file(path: string, ...names: string[]): OutlinedFile {
  const symbols = names.map((name) => {
    const [owner, method] = name.split(".");
    if (owner !== undefined && method !== undefined) return { name: method, kind: "method", parent: owner };
    return { name, kind: /^[A-Z_]+$/.test(name) || name.startsWith("c_") ? "constant" : "function" };
  });
  return { path, symbols };
}

function check(files: OutlinedFile[], tokens: number, expected: string): void {
  assert.equal(
    renderOutlineTail(files, openingTokens + tokens, count),
    expected === "" ? "" : `${opening}${expected}\n\n`,
  );
}

describe("outline tail", () => {
  it("names every symbol when there is room, in the order of the source, each once", () =>
    check([file("a", "one", "c_two", "A.three", "one"), file("b")], 100, "a: one, c_two, three\nb"));

  it("drops methods first, then small constants", () => {
    const files = [file("a", "f", "g", "h", "c_small", "A.m1", "A.m2", "LIMIT")];
    check(files, 100, "a: f, g, h, c_small, m1, m2, LIMIT");
    check(files, 11, "a: f, g, h, c_small, LIMIT");
    check(files, 9, "a: f, g, h, LIMIT");
    check(files, 7, "a: f, g, h");
  });

  it("prefers what is exported, and constructors last", () => {
    const symbols = [
      { name: "helper", kind: "function", signature: "function helper() {" },
      { name: "Box", kind: "class", signature: "export class Box {" },
      { name: "constructor", kind: "method", parent: "Box", signature: "constructor() {" },
      { name: "open", kind: "method", parent: "Box", signature: "open() {" },
      { name: "limit", kind: "constant", signature: "export const limit = 3;" },
    ];
    check([{ path: "a", symbols }], 7, "a: helper, Box, limit");
    check([{ path: "a", symbols }], 9, "a: helper, Box, open, limit");
  });

  it("shares what room there is among the files", () => {
    const names = (prefix: string): string[] => [1, 2, 3, 4, 5, 6].map((n) => `${prefix}${n}`);
    check([file("a", ...names("x")), file("b", ...names("y"))], 18, "a: x1, x2, x3, x4\nb: y1, y2, y3, y4");
  });

  it("gives each file a line before any file gets more, and drops the last files first", () => {
    const files = [file("a", "f", "g", "h", "i"), file("b", "j"), file("c", "k")];
    check(files, 13, "a: f, g, h\nb: j\nc: k");
    check(files, 10, "a: f, g, h\nb: j");
    check(files, 6, "");
  });

  it("is empty without files or room", () => {
    check([], 100, "");
    assert.equal(renderOutlineTail([file("a", "f")], 0, count), "");
  });

  it("keeps paths and names on one line", () => check([file("a\nb", "x\n y")], 100, '"a\\nb": x y'));

  it("does not count texts that cannot fit", () => {
    const files = Array.from({ length: 5000 }, (_, n) =>
      file(`folder/file${n}`, ...["f", "g", "h"].map((x) => `${x}${n}`)),
    );
    let longest = 0;
    let times = 0;
    const tail = renderOutlineTail(files, 500, (text) => {
      longest = Math.max(longest, text.length);
      times++;
      return count(text);
    });
    assert.ok(count(tail) <= 500 && count(tail) > 480);
    assert.ok(longest <= 6000);
    assert.ok(times < 20);
  });

  it("fits, names only what is there, and says the same for the same files", () => {
    const word = fc.stringMatching(/^[a-z]{1,6}$/);
    const anyFile = fc.record({
      path: word,
      symbols: fc.array(fc.record({ name: word, kind: fc.constantFrom("function", "constant", "method", "class") }), {
        maxLength: 12,
      }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(anyFile, { selector: ({ path }) => path }), fc.nat(150), (files, maxTokens) => {
        const text = renderOutlineTail(files, maxTokens, count);
        assert.equal(renderOutlineTail(files, maxTokens, count), text);
        if (text === "") return;
        assert.ok(count(text) <= maxTokens);
        for (const line of text.slice(opening.length).trimEnd().split("\n")) {
          const [path, names = ""] = line.split(": ");
          const found = files.find((candidate) => candidate.path === path);
          assert.ok(found !== undefined);
          const known = new Set(found.symbols.map(({ name }) => name));
          for (const name of names === "" ? [] : names.split(", ")) assert.ok(known.has(name));
        }
      }),
    );
  });
});
