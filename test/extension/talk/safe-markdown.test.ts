import assert from "node:assert/strict";
import fc from "fast-check";
import {
  fenced,
  inlineCode,
  type LinkOf,
  link,
  plainLines,
  plainText,
  safeMarkdown,
} from "../../../extension/talk/safe-markdown.ts";
import { hostile, read } from "./read-markdown.ts";

const linkOf: LinkOf = (index) => (index === 1 ? "file:///ws/a%20b.ts#L3" : undefined);

describe("safe Markdown", () => {
  it("holds no link, image or HTML, whatever an answer says", () => {
    fc.assert(
      fc.property(hostile, (answer) => {
        assert.deepEqual(read(safeMarkdown(answer)).active, []);
      }),
      { numRuns: 3_000 },
    );
  });

  it("links citations, and only those", () => {
    fc.assert(
      fc.property(hostile, (answer) => {
        const { active } = read(safeMarkdown(answer, linkOf));
        assert.ok(
          active.every((address) => address === "file:///ws/a%20b.ts#L3"),
          active.join(" "),
        );
      }),
      { numRuns: 3_000 },
    );
  });

  it("keeps names, typed text and code to what they are", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        for (const markdown of [plainText(text), plainLines(text), inlineCode(text), fenced(text), fenced("x", text)])
          assert.deepEqual(read(markdown).active, []);
        assert.deepEqual(read(link(text, "file:///a#L1")).active, ["file:///a#L1"]);
      }),
      { numRuns: 2_000 },
    );
  });

  const unchanged = [
    "Plain words, **bold** and *emphasis*.",
    "# A heading",
    "- one\n- two\n  - three",
    "1. first\n2. second",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "`code` and ``co`de``",
  ];
  for (const text of unchanged)
    it(`leaves ${JSON.stringify(text)} as it is`, () => assert.equal(safeMarkdown(text), text));

  it("shows code exactly, with brackets and images of other languages in it", () => {
    const code = "if (![1, 2].includes(x)) print(`<b>`);\n  return a[1];";
    assert.deepEqual(read(safeMarkdown(`Look:\n\n\`\`\`js\n${code}\n\`\`\`\nDone.`)).code, [`${code}\n`]);
  });

  it("shows code of an answer that is still streaming, and of a list's item", () => {
    assert.deepEqual(read(safeMarkdown("```py\na = 1\nb")).code, ["a = 1\nb\n"]);
    assert.deepEqual(read(safeMarkdown("1. do:\n   ```py\n   a\n     b\n   ```\n2. then")).code, ["a\n  b\n"]);
  });

  it("shows what was written instead of doing it", () => {
    const hostileText = "[x](command:evil) ![i](https://evil.example/i.png) <b>&lt;</b> $x$ a@b.c www.x.y";
    assert.equal(read(safeMarkdown(hostileText)).text, hostileText);
    assert.equal(read(plainText("# *a* _b_ `c` [d](e) 1. ~f~")).text, "# *a* _b_ `c` [d](e) 1. ~f~");
    assert.equal(read(plainText("1. not a list")).text, "1. not a list");
  });

  it("links a marker where the engine puts one, and not an index in code or prose", () => {
    const answer = "See `a[1]` [1], a[1] and\n```\nx [1]\n```\n[1]\nbut [3].";
    const markdown = safeMarkdown(answer, linkOf);
    assert.equal(read(markdown).active.length, 2);
    assert.match(read(markdown).text, /a\[1\] and/);
    assert.match(read(markdown).text, /but \[3\]\./);
  });

  // The editor's parser (marked) takes the backslashes off a label's brackets and then reads it again: an image came to life.
  it("escapes parentheses in a link's label", () => {
    assert.equal(link("![i](https://e/i.png)", "t"), "[!\\[i\\]\\(https:/\\/e/i.png\\)](<t>)");
  });

  it("writes out characters that turn text around or hide it", () => {
    assert.equal(inlineCode("a\u202eb\nc\u0000"), "`a\\u202eb\\nc\\u0000`");
  });
});
