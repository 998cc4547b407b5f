// The edits that the bench makes of its own, and which questions it asks about them.

import assert from "node:assert/strict";
import { applyChanges, constantsOf, editFunction, otherNumber } from "./changes.ts";
import { itemsAt } from "./questions.ts";

const text = `// a file
export const pageTokens = 16;
const longestWait: number = 1_500;
const twice = 1;
const twice = 2;

export function wait(): number {
  return longestWait;
}
`;

describe("edits of the bench", () => {
  it("change a constant that is given a value once, to one that looks the same", () => {
    const found = constantsOf("src/a.ts", text);
    assert.deepEqual(
      found.map(({ name, from }) => [name, from]),
      [
        ["pageTokens", "16"],
        ["longestWait", "1_500"],
      ],
    );
    const changes = found.map((each) => ({ ...each, to: otherNumber(each.from, 3) }));
    const edited = applyChanges(text, changes);
    assert.match(edited, /^export const pageTokens = 49;$/m);
    assert.match(edited, /^const longestWait: number = 4_833;$/m);
    assert.equal(edited.length, text.length);
    // Over a text where they are gone, and twice over the same.
    assert.equal(applyChanges("nothing", changes), "nothing");
    assert.equal(applyChanges(edited, changes), edited);
  });

  it("put a statement into a function, and a function behind it on every second turn", () => {
    assert.match(editFunction(text, 5, 0) ?? "", /wait\(\): number \{\n {2}const step0 = 11;\n/);
    assert.match(editFunction(text, 0, 1) ?? "", /function added1\(\)/);
    assert.equal(editFunction("const x = 1;\n", 0, 0), undefined);
  });

  it("are asked about first where another answer was right before", () => {
    const file = (value: string) => [{ path: "src/a.ts", text: text.replace("= 16", `= ${value}`) }];
    const items = itemsAt(file("16"), file("49"), 10);
    const [first] = items;
    assert.deepEqual([first?.group, first?.answer, first?.old], ["edited", "49", "16"]);
    assert.ok(items.some(({ group }) => group === "untouched"));
    assert.equal(items.filter(({ old }) => old !== undefined).length, 1);
  });
});
