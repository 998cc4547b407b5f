// notes.test.ts — the sentence above an answer, and telling that an answer says "not found".

import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { explainMissing, isNotFoundAnswer } from "../../../engine/cite/notes.ts";

describe("what is said above an answer", () => {
  it("says nothing where all is in memory", () =>
    assert.equal(explainMissing("plan.ts?", [{ path: "plan.ts", state: "full" }], []), ""));
  it("names what is nowhere, in the order of the question", () => {
    assert.equal(
      explainMissing("Does b.ts call a.ts?", [], ["a.ts", "b.ts"]),
      "I don't find `b.ts` and `a.ts` in this workspace.",
    );
  });
  it("says how much of a named file memory holds", () => {
    const said = explainMissing(
      "x",
      [
        { path: "a.ts", state: "off" },
        { path: "b.ts", state: "outline" },
        { path: "c.ts", state: "name" },
      ],
      [],
    );
    assert.match(said, /`a\.ts` is not in memory/);
    assert.match(said, /`b\.ts` memory holds only the outline/);
    assert.match(said, /`c\.ts` memory holds only the name/);
  });
  it("lets no backtick or newline of a name out, and not all of many", () => {
    const said = explainMissing("x", [], ["a`\n# b", "c", "d", "e", "f", "g"]);
    assert.ok(!said.includes("\n") && said.endsWith("and 2 more in this workspace."), said);
  });
});

describe("an answer that says not found", () => {
  const yes = [
    "I don't find that in what I read.",
    "I couldn’t find a function named `foo`.",
    "There is no `retry` option in this repository.",
    "The repository does not contain a class called Foo. It has Bar.",
    "`foo` is not defined in the files.",
    "The provided code doesn't mention any database.",
  ];
  const no = ["It returns 10.", "`find` raises NotFound.", "The function loops.\nIt stops.\nThere is no timeout.", ""];
  for (const answer of yes) it(`yes: ${answer}`, () => assert.equal(isNotFoundAnswer(answer), true));
  for (const answer of no) it(`no: ${JSON.stringify(answer)}`, () => assert.equal(isNotFoundAnswer(answer), false));
});
