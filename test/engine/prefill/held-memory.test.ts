// What stays in memory between questions, on a small random model: whole documents with the same token ids, nothing else.

import assert from "node:assert/strict";
import { QuireError } from "../../../engine/errors.ts";
import { native } from "../../../engine/native.ts";
import { pagesFor, type WantedDocument } from "../../../engine/prefill/documents.ts";
import { HeldMemory, type ReadProgress } from "../../../engine/prefill/held-memory.ts";
import type { Model } from "../../../native/index.d.ts";
import { dense, options } from "../generate-options.ts";
import { document, never, openTiny, shape } from "./tiny-memory.ts";

const quiet = (): void => {};

const greedy = options({ maxTokens: 12, selection: { ...dense, pageBudget: 256 } });

const hasCode = (code: string) => (error: unknown) => error instanceof QuireError && error.code === code;

describe("held memory", () => {
  let model: Model;
  let memory: HeldMemory;
  const documents = [document("a", 40), document("b", 700, 2), document("c", 17, 3), document("d", 900, 4)];
  const total = 40 + 700 + 17 + 900;

  let close: () => Promise<void>;
  before(async () => {
    ({ model, close } = await openTiny());
  });
  after(() => close());
  beforeEach(() => {
    memory = new HeldMemory(native(), model, shape, 200);
  });
  afterEach(() => memory.dispose());

  const read = (wanted: WantedDocument[], signal = never, onProgress: (progress: ReadProgress) => void = quiet) =>
    memory.read(wanted, signal, onProgress);

  it("reads everything first, and nothing of the same again", async () => {
    const first = await read(documents);
    assert.deepEqual([first.reusedTokens, first.prefilledTokens], [0, total]);
    assert.equal(memory.tokens, total);
    const again = await read(documents.map(({ path: name, tokens }) => ({ path: name, tokens: tokens.slice() })));
    assert.deepEqual([again.reusedTokens, again.prefilledTokens], [total, 0]);
  });

  it("puts each document on pages of its own", async () => {
    await read(documents);
    assert.deepEqual(memory.firstPages(), [0, 3, 47, 49]);
  });

  const middle = documents[1]?.tokens.slice() ?? new Int32Array();
  middle[699] = (middle[699] ?? 0) === 5 ? 6 : 5;
  const [a, b, c, d] = documents as [WantedDocument, WantedDocument, WantedDocument, WantedDocument];
  const changes: [string, WantedDocument[], number][] = [
    ["a token changed in the middle", [a, { path: "b", tokens: middle }, c, d], 40],
    ["a document renamed", [a, b, { ...c, path: "e" }, d], 740],
    ["a document dropped at the end", [a, b, c], 757],
    ["a document dropped at the beginning", [b, c, d], 0],
    ["one added at the end", [...documents, document("e", 30, 5)], total],
    ["two swapped", [a, c, b, d], 40],
    ["all dropped", [], 0],
  ];
  for (const [what, wanted, reused] of changes) {
    it(`with ${what} keeps the ${reused} tokens before it`, async () => {
      await read(documents);
      const outcome = await read(wanted);
      const all = wanted.reduce((sum, { tokens }) => sum + tokens.length, 0);
      assert.deepEqual([outcome.reusedTokens, outcome.prefilledTokens], [reused, all - reused]);
      assert.equal(memory.tokens, all);
      assert.deepEqual(
        memory.documents.map((held) => held.path),
        wanted.map((document) => document.path),
      );
    });
  }

  it("says how far it is: to the end, never back, with a time left that ends at zero", async () => {
    const seen: ReadProgress[] = [];
    await read(documents, never, (progress) => seen.push(progress));
    assert.deepEqual(
      seen.map(({ done }) => done),
      [512, 1024, 1536, total],
    );
    assert.ok(seen.every((progress) => progress.total === total && progress.tokensPerSecond > 0));
    assert.equal(seen.at(-1)?.secondsLeft, 0);
  });

  it("cancelled between two chunks keeps whole documents, and the next read goes on from there", async () => {
    const stopper = new AbortController();
    const reading = read(documents, stopper.signal, ({ done }) => done >= 1024 && stopper.abort());
    await assert.rejects(reading, hasCode("cancelled"));
    assert.deepEqual(
      memory.documents.map((held) => held.path),
      ["a", "b", "c"],
    );
    assert.equal(memory.tokens, 757, "the part of the fourth document is gone");
    const outcome = await read(documents);
    assert.deepEqual([outcome.reusedTokens, outcome.prefilledTokens], [757, 900]);
  });

  it("cancelled within a chunk keeps whole documents too", async () => {
    const stopper = new AbortController();
    const reading = read(documents, stopper.signal);
    setImmediate(() => stopper.abort());
    await assert.rejects(reading, hasCode("cancelled"));
    const kept = memory.documents.reduce((sum, { tokens }) => sum + tokens.length, 0);
    assert.equal(memory.tokens, kept);
    assert.equal((await read(documents)).reusedTokens, kept);
  });

  it("does nothing for a signal that fired before", async () => {
    await assert.rejects(read(documents, AbortSignal.abort()), hasCode("cancelled"));
    assert.equal(memory.tokens, 0);
  });

  const ask = (tokens: Int32Array, dense = false, signal = never) => memory.readTail(tokens, dense, signal, quiet);
  const ids = (...parts: Int32Array[]): Int32Array => Int32Array.from(parts.flatMap((part) => [...part]));
  const question = document("question", 600, 9).tokens;
  const more = document("more", 5, 10).tokens;

  it("keeps the tail while the documents stay, and reads only what is new of it", async () => {
    await read(documents);
    assert.deepEqual(await ask(question), { reusedTokens: 0, prefilledTokens: 600 });
    assert.equal(memory.firstPages().length, 5, "the tail is one document");
    const outcome = await read(documents);
    assert.deepEqual([outcome.reusedTokens, outcome.prefilledTokens], [total, 0]);
    assert.deepEqual(await ask(ids(question, more)), { reusedTokens: 600, prefilledTokens: 5 });
    assert.deepEqual([memory.tokens, memory.tailTokens], [total + 605, 605]);
    assert.deepEqual(await ask(question), { reusedTokens: 599, prefilledTokens: 1 }, "shortened");
    assert.equal(memory.tokens, total + 600);
    assert.deepEqual(await ask(ids(question.slice(0, 37), more)), { reusedTokens: 37, prefilledTokens: 5 });
  });

  it("forgets the tail when a document changes", async () => {
    await read(documents);
    await ask(question);
    await read([a, c]);
    assert.deepEqual([memory.tokens, memory.tailTokens], [57, 0]);
  });

  it("has the same tail, bit for bit, whether it was read at once, went on, or was cut and read again", async () => {
    const whole = ids(question, more);
    const answers: Int32Array[] = [];
    for (const steps of [[whole], [question, whole], [ids(whole, more), question.slice(0, 333), whole]]) {
      await read([]);
      await read(documents);
      for (const step of steps) await ask(step);
      answers.push((await memory.generate({ ...greedy, maxTokens: 12 }, never, quiet)).tokens);
    }
    assert.deepEqual(answers[1], answers[0]);
    assert.deepEqual(answers[2], answers[0]);
  });

  it("keeps an answer as a part of the tail; what selection computed of it does not serve a dense question", async () => {
    await read(documents);
    await ask(question);
    const { tokens } = await memory.generate({ ...greedy, maxTokens: 8 }, never, quiet);
    assert.equal(memory.tailTokens, 608);
    const whole = ids(question, tokens, more);
    assert.deepEqual(await ask(whole), { reusedTokens: 608, prefilledTokens: 5 });
    assert.deepEqual(await ask(whole, true), { reusedTokens: 600, prefilledTokens: 13 });
  });

  it("goes on after a cancelled answer from what came of it", async () => {
    await read(documents);
    await ask(question);
    const stopper = new AbortController();
    const options = { ...greedy, maxTokens: 10_000 };
    const result = await memory.generate(options, stopper.signal, () => stopper.abort());
    assert.equal(result.stop, "cancelled");
    assert.equal(memory.tokens, total + 600 + result.tokens.length);
    const whole = ids(question, result.tokens, more);
    assert.deepEqual(await ask(whole), { reusedTokens: 600 + result.tokens.length, prefilledTokens: 5 });
  });

  it("answers the same before and after a reuse, bit for bit", async () => {
    const answer = async (): Promise<Int32Array> => {
      await read(documents);
      await ask(document("question", 30, 9).tokens);
      return (await memory.generate({ ...greedy, maxTokens: 12 }, never, quiet)).tokens;
    };
    const first = await answer();
    assert.equal(first.length, 12);
    assert.deepEqual(await answer(), first);
    await read([a, { path: "b", tokens: middle }, c, d]);
    assert.deepEqual(await answer(), first, "after another version was read in between");
  });

  it("a tail cancelled half-way stays as far as it came", async () => {
    await read([a]);
    const stopper = new AbortController();
    const long = document("question", 2000, 9).tokens;
    const asked = memory.readTail(long, false, stopper.signal, () => stopper.abort());
    await assert.rejects(asked, hasCode("cancelled"));
    assert.deepEqual(await ask(long), { reusedTokens: 512, prefilledTokens: 1488 });
    assert.equal((await read([a, c])).reusedTokens, 40);
  });

  it("reads sparsely where its shape says so: other keys, but the same ones however the reading was interrupted", async () => {
    const reading = { ...dense, pageBudget: 256 };
    const logProbabilitiesOf = async (held: HeldMemory): Promise<Float32Array> => {
      await held.readTail(document("question", 9, 8).tokens, true, never, quiet);
      const forced = document("answer", 5, 9).tokens;
      const { logProbabilities } = await held.generate(options({ maxTokens: 5, forced }), never, quiet);
      return logProbabilities;
    };
    const sparse = new HeldMemory(native(), model, { ...shape, reading }, 200);
    const stepwise = new HeldMemory(native(), model, { ...shape, reading }, 200);
    await memory.read(documents, never, quiet);
    await sparse.read(documents, never, quiet);
    for (const count of [1, 2, 3, 4]) await stepwise.read(documents.slice(0, count), never, quiet);
    const [densely, atOnce, inSteps] = [
      await logProbabilitiesOf(memory),
      await logProbabilitiesOf(sparse),
      await logProbabilitiesOf(stepwise),
    ];
    assert.deepEqual(inSteps, atOnce);
    assert.notDeepEqual(atOnce, densely);
    sparse.dispose();
    stepwise.dispose();
  });

  it("knows what fits, and says so where something does not", async () => {
    assert.equal(pagesFor(0), 0);
    assert.equal(pagesFor(16), 1);
    assert.equal(pagesFor(17), 2);
    assert.ok(memory.fits(documents, 100));
    assert.ok(!memory.fits([document("huge", 3200)], 0));
    await assert.rejects(read([a, document("huge", 3200)]), hasCode("memory-full"));
    assert.deepEqual(
      memory.documents.map((held) => held.path),
      ["a"],
    );
    assert.equal(memory.tokens, 40);
  });

  it("is refused where the machine cannot hold it", () => {
    assert.throws(() => new HeldMemory(native(), model, shape, 67_108_864), hasCode("out-of-memory"));
  });
});
