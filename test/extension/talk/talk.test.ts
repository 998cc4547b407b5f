import assert from "node:assert/strict";
import { Talk } from "../../../extension/talk/talk.ts";
import { scripted, settled } from "./scripted-ask.ts";

/** A storage as the editor's: what comes out has been through JSON. */
class Shelf {
  readonly kept = new Map<string, string>();
  get(key: string): unknown {
    const value = this.kept.get(key);
    return value === undefined ? undefined : JSON.parse(value);
  }
  async update(key: string, value: unknown): Promise<void> {
    this.kept.set(key, JSON.stringify(value));
  }
}

function open(storage = new Shelf(), saveEvery = 1) {
  const { deps, asked } = scripted();
  return { talk: new Talk({ ...deps, storage, saveEvery }), asked, storage };
}

describe("the talk of a workspace", () => {
  it("says of answers in every thread that their files changed since", async () => {
    const { talk, asked } = open();
    talk.ask("one");
    asked[0]?.answer("1");
    await settled();
    talk.ask("other");
    asked[1]?.answer("2");
    await settled();
    talk.filesChanged(["src/a.ts"]);
    assert.deepEqual(talk.current.turns[0]?.changedSince, ["src/a.ts"]);
    talk.openThread(talk.earlier[0]?.id ?? "");
    assert.equal(talk.current.turns[0]?.question, "one");
    assert.deepEqual(talk.current.turns[0]?.changedSince, ["src/a.ts"]);
  });

  it("asks something new in a thread of its own", async () => {
    const { talk, asked } = open();
    talk.ask("one");
    asked[0]?.answer("1");
    await settled();
    talk.followUp("and?");
    assert.equal(talk.current.turns.length, 2);
    asked[1]?.answer("2");
    await settled();
    talk.ask("other");
    assert.equal(talk.current.turns.length, 1);
    assert.deepEqual(asked[2]?.question.thread.turns, []);
    assert.deepEqual(
      talk.earlier.map(({ question, turns }) => [question, turns]),
      [["one", 2]],
    );
  });

  it("asks after the answer in work, in its thread, so that both are seen", () => {
    const { talk } = open();
    talk.ask("one");
    talk.ask("two");
    assert.equal(talk.current.turns.length, 2);
    assert.deepEqual(talk.earlier, []);
  });

  it("stops what is in work when another thread is shown", () => {
    const { talk, asked } = open();
    talk.ask("one");
    talk.newThread();
    assert.equal(asked[0]?.signal.aborted, true);
    assert.equal(talk.current.turns.length, 0);
  });

  it("keeps the memory's meter in a new thread, with the thread's tokens free again", async () => {
    const { talk, asked } = open();
    talk.ask("one");
    asked[0]?.answer("1");
    await settled();
    talk.newThread();
    assert.deepEqual(talk.current.meter, { memoryTokens: 100, threadTokens: 0, freeTokens: 900 });
    assert.equal(talk.current.reading?.model, "smollm2-135m");
  });

  it("shows the same thread again after a reload, with what streamed until then", async () => {
    const { talk, asked, storage } = open();
    talk.ask("one");
    asked[0]?.answer("1");
    await settled();
    talk.followUp("two");
    asked[1]?.events.text("so far");
    talk.dispose();
    const after = open(storage).talk;
    assert.deepEqual(
      after.current.turns.map(({ question, state, text }) => [question, state, text]),
      [
        ["one", "done", ""],
        ["two", "stopped", "so far"],
      ],
    );
    assert.deepEqual(after.history, ["two", "one"]);
    assert.equal(after.current.reading?.documents.length, 1);
  });

  it("saves while an answer streams, for a window that does not close in order", async () => {
    const { talk, asked, storage } = open();
    talk.ask("one");
    asked[0]?.events.text("so far");
    const deadline = Date.now() + 5_000;
    while (!storage.kept.get("quire.threads")?.includes("so far")) {
      assert.ok(Date.now() < deadline, "it was not saved");
      await settled();
    }
    talk.dispose();
  });

  it("follows up with the answers of before the reload", async () => {
    const { talk, asked, storage } = open();
    talk.ask("one");
    asked[0]?.answer("1");
    await settled();
    talk.dispose();
    const after = open(storage);
    after.talk.followUp("two");
    assert.deepEqual(after.asked[0]?.question.thread.turns, [{ question: "one", answer: "1" }]);
  });

  it("opens an earlier thread and keeps the one it replaces", async () => {
    const { talk, asked } = open();
    talk.ask("one");
    asked[0]?.answer("1");
    await settled();
    talk.ask("two");
    asked[1]?.answer("2");
    await settled();
    talk.openThread(talk.earlier[0]?.id ?? "");
    assert.equal(talk.current.turns[0]?.question, "one");
    assert.deepEqual(
      talk.earlier.map(({ question }) => question),
      ["two"],
    );
    talk.openThread("no such thread");
    assert.equal(talk.current.turns[0]?.question, "one");
  });

  it("takes over an inline thread, which goes on", async () => {
    const { talk, asked } = open();
    const aside = talk.aside("Explain this code.", {
      shownPath: "a.ts",
      selection: { path: "/ws/a.ts", startLine: 1, endLine: 1, text: "x" },
    });
    assert.equal(talk.current.turns.length, 0);
    let changes = 0;
    talk.onDidChange(() => changes++);
    talk.show(aside);
    assert.equal(talk.current, aside);
    asked[0]?.events.text("It");
    assert.equal(changes, 2);
    assert.equal(asked[0]?.signal.aborted, false);
    talk.show(aside);
    assert.equal(talk.current, aside);
  });

  it("forgets everything when asked to", async () => {
    const { talk, asked, storage } = open();
    talk.ask("secret one");
    asked[0]?.answer("secret answer");
    await settled();
    talk.ask("secret two");
    talk.clear();
    assert.equal(talk.current.turns.length, 0);
    assert.deepEqual(talk.earlier, []);
    assert.deepEqual(talk.history, []);
    assert.ok(![...storage.kept.values()].some((value) => value.includes("secret")));
  });

  it("begins empty on a storage that holds something else", () => {
    const storage = new Shelf();
    storage.kept.set("quire.threads", '{"version":1,"threads":[3,{"id":"x"},null]}');
    storage.kept.set("quire.history", '{"a":1}');
    const { talk } = open(storage);
    assert.equal(talk.current.turns.length, 0);
    assert.deepEqual(talk.history, []);
  });

  it("does not ask nothing", () => {
    const { talk, asked } = open();
    talk.ask("  \n");
    assert.equal(asked.length, 0);
    assert.deepEqual(talk.history, []);
  });
});
