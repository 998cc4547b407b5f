// blocks.test.ts — the same blocks, however the text comes in; what is finished stays; nothing takes long.
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Block, BlockSplitter, longestBlock } from "../../../media/markdown/blocks.ts";
import { blockStarts, renderMarkdown } from "../../../media/markdown/render-markdown.ts";

const whole = (text: string): Block[] => new BlockSplitter(blockStarts).split(text);

function streamed(text: string, cuts: readonly number[]): Block[] {
  const splitter = new BlockSplitter(blockStarts);
  for (const cut of [...cuts].sort((a, b) => a - b)) splitter.split(text.slice(0, cut));
  return splitter.split(text);
}

/** Lines that turn one kind of block into another when they come together. */
const lines = fc.constantFrom(
  ...[
    "",
    "a",
    "#",
    "#a",
    "# a",
    "-",
    "- a",
    "  b",
    "    c",
    "---",
    "===",
    "```",
    "```ts",
    "~~~",
    "> q",
    "1. x",
    "| a | b |",
  ],
  ...["|---|---|", "*", "**b**", "<b>", "[1]", "[x]: y", "\\", "\t", "- [ ] t", "`", "[^", "***"],
);
const texts = fc.array(lines, { maxLength: 14 }).map((all) => all.join("\n"));

describe("blocks of a growing text", () => {
  it("do not depend on the pieces in which it came", () => {
    fc.assert(
      fc.property(texts, fc.array(fc.nat(80), { maxLength: 12 }), (text, cuts) =>
        assert.deepEqual(streamed(text, cuts), whole(text)),
      ),
      { numRuns: 1500 },
    );
  });

  it("together are the text, and render as the text does", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const blocks = whole(text);
        const joined = blocks.map(({ source }) => source).join("");
        assert.ok(
          text.endsWith(joined) || text.trim() === "" || joined.trimEnd() === text.trim() || text.includes(joined),
        );
        const squeeze = (html: string) => html.replace(/\s+/g, " ").trim();
        const parts = blocks.map(({ source }) => renderMarkdown(source, [])).join("");
        assert.equal(squeeze(parts), squeeze(renderMarkdown(text, [])));
      }),
      { numRuns: 1500 },
    );
  });

  it("are kept as they were when more comes", () => {
    const splitter = new BlockSplitter(blockStarts);
    const before = splitter.split("one\n\ntwo\n\nthr");
    // What stands before an unfinished line may still go on with it.
    assert.deepEqual(
      before.map(({ source }) => source),
      ["one\n\n", "two\n\nthr"],
    );
    const after = splitter.split("one\n\ntwo\n\nthree\n\nfour");
    assert.deepEqual(
      after.map(({ source }) => source.trim()),
      ["one", "two", "three\n\nfour"],
    );
    assert.equal(after[0], before[0]);
  });

  it("begin anew when the text is another", () => {
    const splitter = new BlockSplitter(blockStarts);
    splitter.split("one\n\ntwo\n\n");
    assert.deepEqual(
      splitter.split("other").map(({ source }) => source),
      ["other"],
    );
  });

  it("of a line of a megabyte are plain pieces, at once", () => {
    const began = performance.now();
    const blocks = whole(`before\n\n${"x*_[`".repeat(200_000)}`);
    assert.ok(performance.now() - began < 2_000);
    assert.equal(blocks.length, 1 + Math.ceil(1_000_000 / longestBlock));
    assert.ok(blocks.slice(1, -1).every(({ plain, source }) => plain && source.length === longestBlock));
  });

  it("of a megabyte line that streams in cost no more for each piece", () => {
    const splitter = new BlockSplitter(blockStarts);
    const text = "<|im_start|>".repeat(85_000);
    let slowest = 0;
    for (let end = 10_000; end <= text.length; end += 10_000) {
      const began = performance.now();
      splitter.split(text.slice(0, end));
      slowest = Math.max(slowest, performance.now() - began);
    }
    assert.ok(slowest < 200, `${slowest} ms`);
  });

  const slow = ["*a ", "[", "![", "`", "> ", "- ", "|", "**a_", "<", "[a](", "\\", "&", "a`", "_*"];
  for (const piece of slow)
    it(`render a block of ${JSON.stringify(piece)} in reasonable time`, () => {
      const began = performance.now();
      renderMarkdown(piece.repeat(longestBlock / piece.length), []);
      assert.ok(performance.now() - began < 1_000, `${performance.now() - began} ms`);
    });
});
