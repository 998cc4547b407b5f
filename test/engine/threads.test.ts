// Threads in the engine process: what a follow-up reads, and what it answers, whatever came in between.

import assert from "node:assert/strict";
import type { AskParams, AskResult, Turn } from "../../engine/protocol.ts";
import { Place, sourceText } from "./cli/quire.ts";
import { askOf, EngineProcess, turnOf } from "./engine-process.ts";

describe("a thread", function () {
  this.timeout(300_000);
  const place = new Place();
  let root = "";
  let engine: EngineProcess;
  const memoryOff = { QUIRE_MEMORY: "off" };

  before(async () => {
    await place.prepare();
    root = place.workspace("w", { "src/a.js": sourceText(1, 2), "src/b.js": sourceText(2, 2) });
  });
  after(() => place.dispose());
  beforeEach(async () => {
    engine = await EngineProcess.start(place.home, memoryOff);
  });
  afterEach(() => engine.dispose());

  const params = (question: string, turns: Turn[] = [], id = "t", change: Partial<AskParams> = {}): AskParams =>
    askOf(root, question, { thread: { id, turns }, ...change });
  const documentTokens = (result: AskResult): number => result.documents.reduce((sum, { tokens }) => sum + tokens, 0);

  it("reads nothing of the repository and nothing of itself again", async () => {
    const one = params("What does add1Entry1 return?");
    const first = await engine.ask(one).result;
    assert.deepEqual(
      [first.stats.reusedTokens, first.stats.prefilledTokens],
      [0, first.stats.promptTokens],
      "the first question reads everything",
    );
    assert.equal(first.meter.memoryTokens, documentTokens(first));
    assert.equal(
      first.meter.threadTokens,
      first.stats.promptTokens - documentTokens(first) + first.stats.decodedTokens,
    );

    const two = params("Please go on.", [turnOf(one, first)]);
    const second = await engine.ask(two).result;
    const { reusedTokens, prefilledTokens, promptTokens } = second.stats;
    assert.equal(reusedTokens, first.meter.memoryTokens + first.meter.threadTokens, "all that was there stays");
    assert.equal(reusedTokens + prefilledTokens, promptTokens);
    assert.ok(second.lookedUp.length === 0 && prefilledTokens < 40, `${prefilledTokens} tokens for a short question`);

    const third = await engine.ask(params("Thanks. And then?", [turnOf(one, first), turnOf(two, second)])).result;
    assert.equal(third.stats.reusedTokens, second.meter.memoryTokens + second.meter.threadTokens);
    assert.ok(third.meter.freeTokens < second.meter.freeTokens);
  });

  it("answers the same with its tail kept, read again from its tokens, and read again from its words", async () => {
    const one = params("Hello there, who are you?");
    const first = await engine.ask(one).result;
    assert.deepEqual(first.lookedUp, [], "nothing is added to a greeting, so its words are all of it");
    const follow = params("Say that once more.", [turnOf(one, first)]);
    const kept = await engine.ask(follow).result;

    await engine.ask(params("What does add2Entry1 return?", [], "other")).result;
    const again = await engine.ask(follow).result;
    assert.equal(again.stats.reusedTokens, first.meter.memoryTokens, "memory stays, the tail is another's");
    assert.equal(again.stats.promptTokens, kept.stats.promptTokens);
    assert.equal(again.answer, kept.answer);

    await engine.dispose();
    engine = await EngineProcess.start(place.home, memoryOff);
    const restarted = await engine.ask(follow).result;
    assert.equal(restarted.stats.reusedTokens, 0);
    assert.equal(restarted.stats.promptTokens, kept.stats.promptTokens);
    assert.equal(restarted.answer, kept.answer);
  });

  it("goes on after an answer that was ended because it went round in circles", async () => {
    const words = "Write 'the pages are chosen by their score' again and again, without end.";
    const alone = place.workspace("alone", { "src/a.js": sourceText(1, 2) });
    const one = askOf(alone, words, { maxTokens: 900 });
    const first = await engine.ask(one).result;
    assert.equal(first.stop, "repeats", `${first.stop}: ${first.answer.slice(-400)}`);
    assert.ok(first.stats.decodedTokens < 600, `${first.stats.decodedTokens} tokens until it was heard`);
    const end = first.answer.slice(-40);
    assert.equal(first.answer.split(end).length, 2, `what it ends with stands there once: ${first.answer}`);
    const second = await engine.ask(
      askOf(alone, "Thanks.", { thread: { id: one.thread.id, turns: [turnOf(one, first)] } }),
    ).result;
    const { reusedTokens, prefilledTokens } = second.stats;
    assert.ok(prefilledTokens < 40 && reusedTokens > first.meter.memoryTokens, `${prefilledTokens} tokens read again`);
  });

  it("goes on after a cancelled answer", async () => {
    const one = params("What does add1Entry1 return?", [], "t", { maxTokens: 400 });
    const asking = engine.ask(one);
    await engine.seen(({ method }) => method === "text");
    asking.stop();
    const first = await asking.result;
    assert.equal(first.stop, "cancelled");
    const second = await engine.ask(params("Please go on.", [turnOf(one, first)])).result;
    assert.equal(second.stats.reusedTokens, first.meter.memoryTokens + first.meter.threadTokens);
    assert.notEqual(second.answer, "");
    const without = await engine.ask(params("Please go on.")).result;
    assert.equal(without.stats.reusedTokens, first.meter.memoryTokens, "the thread without that turn");
  });

  it("that outgrows the context loses its oldest turns and says so", async () => {
    const turns: Turn[] = Array.from({ length: 40 }, (_, index) => ({
      question: `What about number ${index}?`,
      answer: sourceText(index, 3),
    }));
    const asking = engine.ask(params("And now?", turns, "t", { maxTokens: 4600 }));
    await engine.seen(({ method }) => method === "text");
    asking.stop();
    const result = await asking.result;
    const notice = engine.events.find(
      ({ method, params: { message } }) => method === "notice" && /thread/.test(String(message)),
    );
    assert.match(
      String(notice?.params.message),
      /The thread is longer than what fits: the first \d+ questions and their answers were left out\./,
    );
    assert.ok(result.meter.threadTokens > 1000, "what fits stays");
    assert.ok(result.stats.promptTokens + 4600 <= 8192, "and the answer has its room");
  });

  it("whose files changed reads the changed file, and its own words again", async () => {
    const one = params("Hello there, who are you?");
    const first = await engine.ask(one).result;
    const path = `${root}/src/b.js`;
    const edited = { ...one.workspace, unsaved: [{ path, text: `${sourceText(2, 2)}\nexport const added = 1;\n` }] };
    const second = await engine.ask(params("Say that once more.", [turnOf(one, first)], "t", { workspace: edited }))
      .result;
    assert.ok(second.stats.reusedTokens > 0 && second.stats.reusedTokens < first.meter.memoryTokens);
  });
});
