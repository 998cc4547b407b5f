// held-memory-edits.test.ts — a memory that follows edits in place, on a small random model.

import assert from "node:assert/strict";
import { QuireError } from "../../../engine/errors.ts";
import { native } from "../../../engine/native.ts";
import { pagesFor, type WantedDocument } from "../../../engine/prefill/documents.ts";
import { HeldMemory, type ReadOutcome } from "../../../engine/prefill/held-memory.ts";
import type { Memory, Model } from "../../../native/index.d.ts";
import { dense, options } from "../generate-options.ts";
import { randomFrom } from "../models/gguf-writer.ts";
import { document, never, openTiny, shape } from "./tiny-memory.ts";

/** Every tenth token begins a block. */
const edits = {
  reservedPages: 8,
  beginningsOf: (tokens: Int32Array) => Uint8Array.from(tokens, (_, i) => (i % 10 === 0 ? 2 : 0)),
};

function changed({ path: name, tokens }: WantedDocument, at: number, ...added: number[]): WantedDocument {
  return { path: name, tokens: Int32Array.from([...tokens.slice(0, at), 281, ...added, ...tokens.slice(at + 1)]) };
}

/** A native memory whose handle a test can look into. */
function spying(handles: Memory[]) {
  const real = native();
  class Spied extends real.Memory {
    constructor(...given: ConstructorParameters<typeof real.Memory>) {
      super(...given);
      handles.push(this);
    }
  }
  return { ...real, Memory: Spied } as ReturnType<typeof native>;
}

describe("held memory, edited in place", () => {
  let model: Model;
  let memory: HeldMemory;
  const handles: Memory[] = [];
  const digest = (): string => handles.at(-1)?.digest() ?? "";
  const [a, b, c, d] = [
    document("a", 300, 1),
    document("b", 700, 2),
    document("c", 17, 3),
    document("d", 900, 4),
  ] as const;
  const documents = [a, b, c, d];
  const total = 300 + 700 + 17 + 900;

  let close: () => Promise<void>;
  before(async () => {
    ({ model, close } = await openTiny());
  });
  after(() => close());
  beforeEach(async () => {
    memory = new HeldMemory(spying(handles), model, shape, 200);
    await read(documents);
  });
  afterEach(() => memory.dispose());

  const read = (wanted: readonly WantedDocument[], signal = never): Promise<ReadOutcome> =>
    memory.read(wanted, signal, () => {}, undefined, edits);
  /** Without edits. */
  const readAgain = (wanted: readonly WantedDocument[]): Promise<ReadOutcome> => memory.read(wanted, never, () => {});
  const ask = async (): Promise<number[]> => {
    await memory.readTail(Int32Array.from([5, 6, 7]), true, never, () => {});
    const greedy = options({ maxTokens: 12, selection: { ...dense, pageBudget: 256 } });
    return [...(await memory.generate(greedy, never, () => {})).tokens];
  };

  it("encodes the changed block and nothing behind it", async () => {
    const { prefilledTokens, reusedTokens, patchedTokens } = await read([a, changed(b, 333), c, d]);
    assert.deepEqual([prefilledTokens, patchedTokens], [32, 32]); // pages 320 to 352
    assert.equal(reusedTokens, total - 32);
    assert.equal(memory.tokens, total);
    assert.deepEqual((await read([a, changed(b, 333), c, d])).prefilledTokens, 0);
  });

  it("holds the very bits of a fresh read where only the last document changed", async () => {
    const wanted = [a, b, c, changed(d, 897, 1, 2)];
    await readAgain(wanted);
    const fresh = digest();
    await readAgain(documents);
    assert.notEqual(digest(), fresh);
    assert.equal((await read(wanted)).prefilledTokens, 902 - 896);
    assert.equal(digest(), fresh);
  });

  it("comes back to the same bits when an edit of the same length is undone", async () => {
    const before = digest();
    await read([a, changed(b, 333), c, d]);
    assert.notEqual(digest(), before);
    await read(documents);
    assert.equal(digest(), before);
  });

  it("moves with blocks put in and taken out, with new and deleted files, round after round", async () => {
    const random = randomFrom(9);
    let wanted: WantedDocument[] = [...documents];
    for (let round = 0; round < 12; round++) {
      const at = Math.floor(random() * wanted.length);
      const one = wanted[at] as WantedDocument;
      const added = Array.from({ length: Math.floor(random() * 20) }, () => Math.floor(random() * 280));
      wanted = wanted.with(at, changed(one, Math.floor(random() * (one.tokens.length - 1)), ...added));
      if (round === 4) wanted.splice(1, 0, document("new", 60, 5));
      if (round === 7) wanted.splice(2, 1);
      await read(wanted);
      assert.equal(
        memory.tokens,
        wanted.reduce((sum, { tokens }) => sum + tokens.length, 0),
      );
      assert.deepEqual(
        memory.documents.map(({ path: name }) => name),
        wanted.map(({ path: name }) => name),
      );
      const first = memory.firstPages();
      const least = wanted.map(({ tokens }) => pagesFor(tokens.length));
      for (const [i, pages] of least.slice(0, -1).entries()) assert.ok((first[i + 1] ?? 0) - (first[i] ?? 0) >= pages);
      await ask();
    }
  });

  it("encodes only the blocks that changed, in several places of a file, in several files, and what is new or was renamed", async () => {
    // Blocks of 50 tokens, told by their first.
    const blocks = (name: string, count: number, seed: number): WantedDocument => {
      const { tokens } = document(name, 50 * count, seed);
      return { path: name, tokens: tokens.map((token, i) => (i % 50 === 0 ? 280 : token)) };
    };
    const byToken = { ...edits, beginningsOf: (tokens: Int32Array) => tokens.map((token) => (token === 280 ? 2 : 0)) };
    const follow = async (wanted: readonly WantedDocument[]): Promise<number> => {
      const options = {
        ...byToken,
        beginningsOf: (tokens: Int32Array) => Uint8Array.from(byToken.beginningsOf(tokens)),
      };
      const { prefilledTokens } = await memory.read(wanted, never, () => {}, undefined, options);
      const total = wanted.reduce((sum, { tokens }) => sum + tokens.length, 0);
      assert.equal(memory.tokens, total);
      assert.deepEqual(memory.documents, wanted);
      return prefilledTokens;
    };
    const [one, two, three, last] = [
      blocks("one", 14, 1),
      blocks("two", 14, 2),
      blocks("three", 14, 3),
      blocks("outline", 6, 4),
    ];
    await memory.read([one, two, three, last], never, () => {});
    // A block, and the parts of pages around it.
    const perBlock = 50 + 2 * 15;
    const twice = changed(changed(two, 610, 1, 2), 120, 3);
    const several = await follow([one, twice, changed(three, 333), changed(last, 120)]);
    assert.ok(several > 0 && several <= 4 * perBlock, `${several} tokens for four places`);
    const withNew = await follow([one, twice, blocks("new", 1, 5), changed(three, 333), changed(last, 120)]);
    assert.equal(withNew, 50);
    const renamed = { path: "renamed", tokens: blocks("new", 1, 6).tokens };
    assert.equal(await follow([one, twice, renamed, changed(three, 333), changed(last, 120)]), 50);
    assert.equal(await follow([one, twice, changed(three, 333), changed(last, 120)]), 0, "deleted");
    await ask();
  });

  it("never serves a read that asks for the exact memory", async () => {
    const wanted = [a, changed(b, 333), c, d];
    await read(wanted);
    const { prefilledTokens, patchedTokens } = await readAgain(wanted);
    assert.deepEqual([prefilledTokens, patchedTokens], [700 + 17 + 900, 0]);
  });

  it("is as before the edit when it is stopped, and goes on from there", async () => {
    const whole = digest();
    const stopper = new AbortController();
    stopper.abort();
    const wanted = [a, changed(b, 333), c, d];
    await assert.rejects(
      read(wanted, stopper.signal),
      (error) => error instanceof QuireError && error.code === "cancelled",
    );
    assert.equal(digest(), whole);
    assert.equal((await read(wanted)).prefilledTokens, 32);
  });

  it("reads again where there is no room for old and new beside each other", async () => {
    memory.dispose();
    memory = new HeldMemory(
      spying(handles),
      model,
      shape,
      pagesFor(300) + pagesFor(700) + pagesFor(17) + pagesFor(900),
    );
    await read(documents);
    const wanted = [a, changed(b, 333), c, d];
    await read(wanted);
    assert.equal(memory.tokens, total);
    assert.deepEqual(memory.documents, wanted);
  });
});
