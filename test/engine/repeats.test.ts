// repeats.test.ts — an answer that goes round in circles is heard; code, lists and tables are left alone.
//
// Guards against: the 1.5B, asked how Quire decides which pages to load, wrote the same three lines until --max-tokens cut it.

import { strict as assert } from "node:assert";
import fc from "fast-check";
import { repeatsFrom } from "../../engine/repeats.ts";

const circle = [
  "1. The `select` function in `select.cu` chooses the pages with the highest scores.",
  "2. The `score` function in `score.cu` computes the importance of each page.",
];

describe("an answer that repeats itself", () => {
  it("is cut before the second round of lines, whatever their numbers", () => {
    const rounds = [0, 1, 2, 3].flatMap((round) =>
      circle.map((line, index) => line.replace(/^\d+/, String(round * 2 + index + 1))),
    );
    const text = `Pages are chosen so:\n\n${rounds.join("\n")}\n`;
    const kept = text.slice(0, repeatsFrom(text));
    assert.equal(kept, `Pages are chosen so:\n\n${circle.join("\n")}\n`);
  });

  it("is cut within a line after the first copy", () => {
    const text = `The answer is that ${"it loads pages and then ".repeat(12)}`;
    assert.equal(text.slice(0, repeatsFrom(text)).trimEnd(), "The answer is that it loads pages and then");
  });

  it("is heard at the first token that makes it so, and cut at the same place whenever it is asked", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 2, maxLength: 60 }), fc.integer({ min: 0, max: 40 }), (unit, more) => {
        fc.pre(unit.trim() !== "");
        const text = `x\n${unit.repeat(Math.ceil(300 / unit.length) + 4 + more)}`;
        const cut = repeatsFrom(text);
        assert.ok(cut !== undefined && cut <= 2 + 2 * unit.length, `${JSON.stringify(unit)} cut at ${cut}`);
      }),
    );
  });
});

describe("an answer that does not repeat itself", () => {
  it("may name one file line after line", () => {
    const text = Array.from({ length: 30 }, (_, i) => `- \`engine/pipeline.ts\` line ${i * 7 + 3} calls it`).join("\n");
    assert.equal(repeatsFrom(`${text}\n`), undefined);
  });

  it("may quote code with the same line many times", () => {
    const cases = Array.from(
      { length: 8 },
      (_, i) => `  case ${i}:\n    if (isCancelled(signal)) return undefined;\n    break;`,
    );
    assert.equal(repeatsFrom(`It is:\n\`\`\`ts\n${cases.join("\n")}\n\`\`\`\n`), undefined);
  });

  it("may draw a table's rule and a line of dashes", () => {
    assert.equal(repeatsFrom(`| a | b |\n|${"-".repeat(60)}|${"-".repeat(60)}|\n| 1 | 2 |\n`), undefined);
  });

  it("may be long", () => {
    const text = Array.from({ length: 4000 }, (_, i) => `line ${i * i} says ${(i * 7919) % 1009}`).join("\n");
    assert.equal(repeatsFrom(text), undefined);
  });
});
