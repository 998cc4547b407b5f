// The symbols of one sample per language against a golden list, and files made to hurt a parser.
// QUIRE_REWRITE=1 writes the golden list anew; look at its difference before committing it.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Outline, outline } from "../../../engine/outline/outline.ts";

const samples = path.join(import.meta.dirname, "samples");
const goldenPath = path.join(import.meta.dirname, "samples.golden.txt");

function shown(found: Outline | undefined): string[] {
  return (found?.symbols ?? []).map(({ name, kind, line, endLine, parent }) => {
    return `${line}-${endLine} ${kind} ${parent === undefined ? "" : `${parent}.`}${name}`;
  });
}

async function check(file: string, text: string, expected: string[]): Promise<void> {
  assert.deepEqual(shown(await outline(file, text)), expected);
}

describe("outline: every language", () => {
  const names = readdirSync(samples).sort();
  const golden = new Map(
    (process.env.QUIRE_REWRITE === "1" ? "" : readFileSync(goldenPath, "utf8")).split("\n\n").flatMap((part) => {
      const [name, ...lines] = part.trim().split("\n");
      return name === undefined || name === "" ? [] : [[name, lines] as const];
    }),
  );
  const written: string[] = [];

  for (const name of names) {
    it(name.replace(/\.txt$/, ""), async () => {
      const text = readFileSync(path.join(samples, name), "utf8");
      const found = await outline(name.replace(/\.txt$/, ""), text);
      written.push([name, ...shown(found)].join("\n"));
      if (process.env.QUIRE_REWRITE === "1") return;
      assert.deepEqual(shown(found), golden.get(name));
      const lines = text.split("\n");
      for (const symbol of found?.symbols ?? []) {
        assert.equal(symbol.signature, lines[symbol.line - 1]?.trim());
        assert.ok(symbol.kind === "heading" || symbol.signature.includes(symbol.name), symbol.signature);
        assert.ok(symbol.endLine >= symbol.line && symbol.endLine <= lines.length);
      }
    });
  }

  after(() => {
    if (process.env.QUIRE_REWRITE === "1") writeFileSync(goldenPath, `${written.join("\n\n")}\n`);
  });
});

describe("outline: details", () => {
  it("gives the line with the name, after decorators and annotations", () =>
    check("a.py", "@one\n@two(\n  3)\ndef f():\n  pass\n", ["4-5 function f"]));

  it("ends a C macro on its own line", () =>
    check("a.h", "#define A 1\n#define B 2\n", ["1-1 constant A", "2-2 constant B"]));

  it("keeps what stands before a syntax error", () =>
    check("a.ts", "function a() {}\nfunction ( {{{\nconst = ;\n", ["1-1 function a"]));

  it("counts characters beyond the basic plane right", () =>
    check("a.py", "x = '😀漢'\ndef f():\n  return '𝕏'\n", ["1-1 constant x", "2-3 function f"]));

  it("reads Windows line ends", () =>
    check("a.py", "A = 1\r\ndef f():\r\n  pass\r\n", ["1-1 constant A", "2-3 function f"]));

  it("has nothing for unknown languages and a list for empty files", async () => {
    assert.equal(await outline("a.xyz", "function a() {}"), undefined);
    assert.equal(await outline("constructor", "x"), undefined);
    assert.deepEqual(await outline("a.ts", ""), { symbols: [] });
  });

  it("says the same every time, whatever was parsed before and beside it", async () => {
    const text = readFileSync(path.join(samples, "a.ts.txt"), "utf8");
    const first = await outline("a.ts", text);
    const many = await Promise.all([outline("a.ts", text), outline("b.py", "def f(): pass"), outline("a.ts", text)]);
    assert.deepEqual(many[0], first);
    assert.deepEqual(many[2], first);
  });
});

describe("outline: hostile files", function () {
  this.timeout(60_000);
  const hostile: [string, string, string][] = [
    ["open parentheses", "a.ts", "(".repeat(590_000)],
    ["open brackets", "a.py", "[".repeat(590_000)],
    ["functions in functions", "a.js", "function a(){".repeat(40_000)],
    ["type arguments without end", "a.cpp", "a<".repeat(290_000)],
    ["conditions in conditions", "a.ts", "a?b:".repeat(140_000)],
    ["control characters", "a.go", "\u0000\u0001\u001b".repeat(50_000)],
    ["half characters", "a.ts", `const a = "${"\ud800".repeat(1000)}";`],
    ["a heading of blanks", "a.md", `# ${" ".repeat(500_000)}x\n${"# ".repeat(50_000)}`],
    ["a receiver of blanks", "a.go", `package a\nfunc (${" ".repeat(200_000)}x T${" ".repeat(200_000)}) f() {}`],
    ["documents that never end", "a.sh", "cat <<E\n".repeat(50_000)],
  ];
  for (const [name, file, text] of hostile) {
    it(name, async () => {
      const began = performance.now();
      await outline(file, text);
      // The parse is given up after two seconds; the rest is for busy machines.
      assert.ok(performance.now() - began < 15_000);
    });
  }

  it("leaves no harm behind", () => check("a.ts", "function fine() {}\n", ["1-1 function fine"]));

  it("cuts a table of names", async () => {
    const found = await outline("a.ts", "export const a = 1;\n".repeat(20_000));
    assert.equal(found?.symbols.length, 5000);
  });

  it("does not parse what is too large", async () =>
    assert.equal(await outline("a.ts", " ".repeat(700_000)), undefined));
});
