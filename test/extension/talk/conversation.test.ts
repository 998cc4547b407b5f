import assert from "node:assert/strict";
import fc from "fast-check";
import { type Change, Conversation } from "../../../extension/talk/conversation.ts";
import { type Asked, scripted, settled } from "./scripted-ask.ts";

const subject = {
  shownPath: "src/a.ts",
  selection: { path: "/ws/src/a.ts", startLine: 3, endLine: 5, text: "a\nb\nc" },
};

const at = (asked: Asked[], index: number): Asked => {
  const one = asked[index];
  assert.ok(one !== undefined, `question ${index} was not asked`);
  return one;
};

describe("a conversation", () => {
  it("streams an answer and ends with it", async () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    const changes: Change[] = [];
    conversation.onDidChange((change) => changes.push(change));
    const id = conversation.ask("  How? ");
    const { events, answer } = at(asked, 0);
    events.progress({ stage: "collecting" });
    events.notice("A budget was chosen.");
    events.text("Like ");
    events.text("this.");
    assert.equal(conversation.turns[0]?.text, "Like this.");
    assert.deepEqual(conversation.turns[0]?.progress, { stage: "collecting" });
    answer("Like this.");
    await settled();
    const [turn] = conversation.turns;
    assert.equal(turn?.question, "How?");
    assert.equal(turn?.state, "done");
    assert.equal(turn?.answer?.marked, "Like this.");
    assert.equal(turn?.progress, undefined);
    assert.deepEqual(turn?.notices, ["A budget was chosen."]);
    assert.deepEqual(conversation.meter, { memoryTokens: 100, threadTokens: 40, freeTokens: 860 });
    assert.equal(conversation.reading?.usedTokens, 100);
    assert.deepEqual(
      changes.map((change) => change.kind),
      ["turns", "progress", "turns", "text", "text", "turns"],
    );
    assert.ok(changes.every((change) => change.kind === "turns" || change.turn === id));
  });

  it("says of an answer which state it read, and which of its files changed since", async () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    conversation.filesChanged(["src/a.ts"]); // before anything was read
    conversation.ask("How?");
    at(asked, 0).answer("So.");
    await settled();
    assert.equal(conversation.turns[0]?.answer?.state?.folders[0]?.branch, "main");
    assert.equal(conversation.turns[0]?.changedSince, undefined);
    const changes: Change[] = [];
    conversation.onDidChange((change) => changes.push(change));
    conversation.filesChanged(["build/out.js"]); // nothing that was read
    assert.equal(changes.length, 0);
    conversation.filesChanged(["src/a.ts"]);
    conversation.filesChanged(["src/a.ts"]);
    assert.deepEqual(conversation.turns[0]?.changedSince, ["src/a.ts"]);
    assert.equal(changes.length, 1, "and once only");
    conversation.ask("And now?");
    const next = at(asked, 1);
    next.events.progress({ stage: "collecting" });
    conversation.filesChanged(["src/a.ts"]);
    assert.equal(conversation.turns[1]?.changedSince, undefined, "it is still to be read");
    next.events.progress({ stage: "answering" });
    conversation.filesChanged(["src/a.ts"]);
    next.answer("Else.");
    await settled();
    assert.deepEqual(conversation.turns[1]?.changedSince, ["src/a.ts"], "it changed while the answer was written");
    const again = new Conversation(deps, conversation.keep());
    assert.deepEqual(again.turns[0]?.changedSince, ["src/a.ts"]);
  });

  it("gives a follow-up what was said before, with the code it was about", async () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    conversation.ask("Explain this code.", subject);
    assert.deepEqual(at(asked, 0).question.selection, subject.selection);
    assert.deepEqual(conversation.turns[0]?.scope, { path: "src/a.ts", startLine: 3, endLine: 5 });
    at(asked, 0).answer("It adds.", { marked: "It adds. [1]" });
    await settled();
    conversation.ask("Why?");
    assert.equal(at(asked, 1).question.selection, undefined);
    assert.equal(at(asked, 1).question.thread.id, conversation.id);
    assert.deepEqual(at(asked, 1).question.thread.turns, [
      { question: "Explain this code.", answer: "It adds.", selection: subject.selection },
    ]);
  });

  it("answers questions asked meanwhile in order, each knowing the ones before", async () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    conversation.ask("one");
    conversation.ask("two");
    conversation.ask("three");
    assert.equal(asked.length, 1);
    assert.deepEqual(conversation.turns[1]?.progress, { stage: "waiting" });
    at(asked, 0).answer("1");
    await settled();
    assert.equal(asked.length, 2);
    at(asked, 1).fail(new Error("broken"));
    await settled();
    assert.deepEqual(
      at(asked, 2).question.thread.turns.map((turn) => turn.question),
      ["one"],
      "a failed question is nothing that was said",
    );
  });

  it("stops what is in work and what waits, at once", async () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    conversation.ask("one");
    conversation.ask("two");
    at(asked, 0).events.text("half an");
    conversation.stop();
    assert.equal(at(asked, 0).signal.aborted, true);
    assert.deepEqual(
      conversation.turns.map(({ state }) => state),
      ["stopped", "stopped"],
    );
    assert.equal(conversation.working, false);
    at(asked, 0).events.text(" answer that came too late");
    assert.equal(conversation.turns[0]?.text, "half an");
    at(asked, 0).fail({ code: "cancelled", message: "Stopped." });
    await settled();
    assert.equal(conversation.turns[0]?.state, "stopped");
    assert.equal(asked.length, 1);
  });

  it("keeps the answer that a stopped question got, and builds on it", async () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    conversation.ask("one");
    conversation.stop();
    at(asked, 0).answer("half", { stop: "cancelled" });
    await settled();
    assert.equal(conversation.turns[0]?.state, "stopped");
    assert.equal(conversation.turns[0]?.answer?.marked, "half");
    conversation.ask("and?");
    assert.equal(at(asked, 1).question.thread.turns[0]?.answer, "half");
  });

  it("asks a new question only when the stopped one has let go of the engine", async () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    conversation.ask("one");
    conversation.stop();
    conversation.ask("two");
    assert.equal(asked.length, 1);
    at(asked, 0).fail({ code: "cancelled", message: "Stopped." });
    await settled();
    assert.equal(at(asked, 1).question.question, "two");
  });

  it("shows a failure with the editor's next step", async () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    conversation.ask("one");
    at(asked, 0).fail({ code: "model-missing", message: "No model.", nextStep: "Fetch it with `quire models fetch`." });
    await settled();
    assert.deepEqual(conversation.turns[0]?.failure, {
      code: "model-missing",
      message: "No model.",
      nextStep: "Choose a model and let Quire download it.",
      remedies: ["choose model", "ask again"],
    });
  });

  it("asks again in the place of the last turn, and at the end for an earlier one", async () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    const first = conversation.ask("one", subject);
    assert.equal(conversation.askAgain(first), undefined, "it is in work");
    at(asked, 0).fail(new Error("broken"));
    await settled();
    conversation.askAgain(first);
    assert.deepEqual(at(asked, 1).question.selection, subject.selection);
    assert.equal(conversation.turns.length, 1);
    at(asked, 1).answer("1");
    await settled();
    conversation.ask("two");
    at(asked, 2).answer("2");
    await settled();
    conversation.askAgain(conversation.turns[0]?.id ?? "");
    assert.deepEqual(
      conversation.turns.map(({ question }) => question),
      ["one", "two", "one"],
    );
    assert.equal(conversation.askAgain("nothing"), undefined);
  });

  it("comes back with a turn that was in work as stopped", () => {
    const { deps, asked } = scripted();
    const conversation = new Conversation(deps);
    conversation.ask("one");
    at(asked, 0).events.text("half");
    const back = new Conversation(deps, structuredClone(conversation.keep()));
    assert.equal(back.id, conversation.id);
    assert.equal(back.turns[0]?.state, "stopped");
    assert.equal(back.turns[0]?.text, "half");
    assert.equal(back.turns[0]?.progress, undefined);
    assert.equal(asked.length, 1, "nothing is asked by coming back");
  });

  it("is never stuck: whatever is done, it ends idle, with one question at a time", async () => {
    const step = fc.constantFrom("ask", "stop", "again", "answer", "fail", "cancel", "text");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { deps, asked } = scripted();
        const conversation = new Conversation(deps);
        let finished = 0;
        const running = (): Asked | undefined => asked[finished];
        for (const name of steps) {
          if (name === "ask") conversation.ask("q");
          if (name === "stop") conversation.stop();
          if (name === "again") conversation.askAgain(conversation.turns.at(-1)?.id ?? "");
          if (name === "text") running()?.events.text("x");
          if (name === "answer") running()?.answer("a");
          if (name === "fail") running()?.fail(new Error("f"));
          if (name === "cancel") running()?.fail({ code: "cancelled", message: "" });
          if (/answer|fail|cancel/.test(name) && running() !== undefined) finished++;
          await settled();
          assert.ok(asked.length <= finished + 1, "two questions at once");
        }
        while (running() !== undefined) {
          running()?.answer("a");
          finished++;
          await settled();
        }
        assert.equal(conversation.working, false);
        assert.ok(conversation.turns.every(({ progress }) => progress === undefined));
      }),
      { numRuns: 200 },
    );
  });
});
