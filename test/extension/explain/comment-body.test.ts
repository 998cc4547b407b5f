import assert from "node:assert/strict";
import fc from "fast-check";
import { answerBody, questionBody } from "../../../extension/explain/comment-body.ts";
import { encodePath } from "../../../extension/talk/export-markdown.ts";
import { toFailure } from "../../../extension/talk/failures.ts";
import type { PanelAnswer, PanelTurn } from "../../../media/messages.ts";
import { hostile, read } from "../talk/read-markdown.ts";
import { result } from "../talk/scripted-ask.ts";

const addressOf = (path: string, line: number): string => `file:///ws/${encodePath(path)}#L${line}`;

function turn(changes: Partial<PanelTurn> = {}): PanelTurn {
  return { id: "t", askedAt: 0, question: "q", state: "working", text: "", notices: [], ...changes };
}

function answer(marked: string, path = "src/a.ts"): PanelAnswer {
  const { stats, model } = result("", "");
  const citation = { index: 1, path, line: 7, text: path, verified: true, choices: [] };
  return { model, preface: "", marked, stop: "stop-token", citations: [citation], lookedUp: [], loaded: [], stats };
}

describe("an inline comment", () => {
  it("says what is being done, below what has streamed", () => {
    const body = answerBody(turn({ text: "It **adds**", progress: { stage: "answering" } }), addressOf);
    assert.equal(body.markdown, "It **adds**\n\n*Writing the answer.*");
    assert.deepEqual(body.trusted, []);
  });

  it("says first what had to be said about settings and folders", () => {
    const notices = ["Left out: [x](command:evil)."];
    const body = answerBody(turn({ notices, state: "done", text: "It adds" }), addressOf);
    assert.match(body.markdown, /^\*Left out: .*\*\n\nIt adds$/);
    assert.deepEqual(read(body.markdown).active, []);
  });

  it("links citations to their lines, in the text and below it", () => {
    const { markdown, trusted } = answerBody(turn({ state: "done", answer: answer("It is `a` [1].") }), addressOf);
    assert.deepEqual(read(markdown).active, ["file:///ws/src/a.ts#L7", "file:///ws/src/a.ts#L7"]);
    assert.match(read(markdown).text, /\[1\] src\/a\.ts:7$/);
    assert.deepEqual(trusted, []);
  });

  it("leaves no sign of work when it has ended", () => {
    for (const state of ["done", "stopped", "failed"] as const)
      assert.doesNotMatch(answerBody(turn({ state, text: "x" }), addressOf).markdown, /Writing/);
    assert.equal(answerBody(turn({ state: "stopped" }), addressOf).markdown, "*Stopped.*");
  });

  it("offers a failure's next step as buttons that take no arguments", () => {
    const failure = toFailure({ code: "model-missing", message: "No [model](command:evil)." });
    const body = answerBody(turn({ state: "failed", failure }), addressOf);
    assert.deepEqual(read(body.markdown).active, ["command:quire.chooseModel"]);
    assert.deepEqual(body.trusted, ["quire.chooseModel"]);
  });

  it("offers to ask again where the last answer was stopped or failed, and says which thread", () => {
    const body = answerBody(turn({ state: "stopped" }), addressOf, "a-b");
    const address = "command:quire.explain.askAgain?%5B%22a-b%22%5D";
    assert.deepEqual(read(body.markdown).active, [address]);
    assert.deepEqual(body.trusted, ["quire.explain.askAgain"]);
    for (const state of ["working", "done"] as const)
      assert.deepEqual(answerBody(turn({ state }), addressOf, "a-b").trusted, []);
  });

  it("can be nothing but text and citations, whatever answer, path, question or failure say", () => {
    fc.assert(
      fc.property(hostile, hostile, (text, path) => {
        const failure = { code: "x", message: text, nextStep: text, remedies: [] };
        const bodies = [
          questionBody(turn({ question: text })),
          answerBody(turn({ text, state: "failed", failure }), addressOf),
          answerBody(turn({ state: "done", answer: { ...answer(`${text} [1]`, path), preface: text } }), addressOf),
        ];
        for (const { markdown, trusted } of bodies) {
          assert.deepEqual(trusted, []);
          for (const address of read(markdown).active) assert.equal(address, addressOf(path, 7));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
