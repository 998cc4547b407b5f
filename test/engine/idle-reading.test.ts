// idle-reading.test.ts — a memory that was edited in place is read again while nobody asks, on a small random model.

import assert from "node:assert/strict";
import { IdleReading, renewedShare } from "../../engine/idle-reading.ts";
import { native } from "../../engine/native.ts";
import type { WantedDocument } from "../../engine/prefill/documents.ts";
import { HeldMemory } from "../../engine/prefill/held-memory.ts";
import type { Memory, Model } from "../../native/index.d.ts";
import { document, never, openTiny, shape } from "./prefill/tiny-memory.ts";

const documents = [document("a", 300, 1), document("b", 900, 2), document("c", 700, 3), document("d", 900, 4)];
const edits = {
  reservedPages: 8,
  beginningsOf: (tokens: Int32Array) => Uint8Array.from(tokens, (_, i) => (i % 10 === 0 ? 2 : 0)),
  mostPatchedShare: Number.POSITIVE_INFINITY,
};

/** Other tokens in the place of `count` ones. */
function changed({ path, tokens }: WantedDocument, at: number, count: number): WantedDocument {
  return { path, tokens: tokens.map((token, i) => (i >= at && i < at + count ? (token + 7) % 280 : token)) };
}

describe("reading again while nobody asks", function () {
  this.timeout(60_000);
  let model: Model;
  let close: () => Promise<void>;
  let memory: HeldMemory;
  let idle: IdleReading;
  const handles: Memory[] = [];
  const logged: string[] = [];
  let running: Promise<unknown> = Promise.resolve();
  let wake = (): void => {};

  before(async () => {
    ({ model, close } = await openTiny());
  });
  after(() => close());
  beforeEach(async () => {
    logged.length = 0;
    const real = native();
    class Spied extends real.Memory {
      constructor(...given: ConstructorParameters<typeof real.Memory>) {
        super(...given);
        handles.push(this);
      }
    }
    memory = new HeldMemory({ ...real, Memory: Spied } as ReturnType<typeof native>, model, shape, 400);
    await read(documents);
    idle = new IdleReading({
      memory: () => memory,
      alone: (work) => {
        const mine = running.then(work);
        running = mine.catch(() => {});
        return mine;
      },
      log: (message) => {
        logged.push(message);
        wake();
      },
      quiet: 5,
    });
  });
  afterEach(async () => {
    idle.dispose();
    await running;
    memory.dispose();
  });

  const read = (wanted: readonly WantedDocument[]) => memory.read(wanted, never, () => {}, undefined, edits);
  const digest = (): string => handles.at(-1)?.digest() ?? "";
  /** Looks again with each line of the log. */
  async function until(done: () => boolean): Promise<void> {
    while (!done())
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
  /** Several edits in place, beyond the limit. */
  async function edit(): Promise<WantedDocument[]> {
    const [a, b, c, d] = documents as [WantedDocument, WantedDocument, WantedDocument, WantedDocument];
    await read([a, changed(b, 100, 200), c, d]);
    const wanted = [a, changed(changed(b, 100, 200), 500, 150), c, changed(d, 30, 200)];
    const { patchedTokens } = await read(wanted);
    assert.ok(patchedTokens > renewedShare * memory.tokens, `${patchedTokens} of ${memory.tokens}`);
    return wanted;
  }

  it("comes to the very bits of a fresh read, document by document", async () => {
    const wanted = await edit();
    const edited = digest();
    idle.wait();
    await until(() => logged.length > 0);
    assert.equal(memory.patchedTokens, 0);
    assert.match(logged[0] ?? "", /^2500 tokens read again/); // what lies before the first edit is as it was
    const renewed = digest();
    assert.notEqual(renewed, edited);
    await memory.read([], never, () => {});
    await memory.read(wanted, never, () => {});
    assert.equal(renewed, digest());
  });

  it("leaves a memory alone that is near enough to a fresh one", async () => {
    const [a, b, ...rest] = documents as [WantedDocument, WantedDocument, ...WantedDocument[]];
    const { patchedTokens } = await read([a, changed(b, 100, 30), ...rest]);
    assert.ok(patchedTokens > 0 && patchedTokens < renewedShare * memory.tokens);
    idle.wait();
    await new Promise((resolve) => setTimeout(resolve, 50)); // ten times as long as it would wait
    assert.equal(memory.patchedTokens, patchedTokens);
    assert.deepEqual(logged, []);
  });

  it("is ended at once by a question, keeps what it renewed, and goes on afterwards", async () => {
    const wanted = await edit();
    const before = memory.staleTokens;
    let renewed = 0;
    const real = memory.renew.bind(memory);
    const first = new Promise<void>((resolve) => {
      memory.renew = async (...given) => {
        const tokens = await real(...given);
        renewed += tokens;
        resolve();
        return tokens;
      };
    });
    idle.wait();
    await first;
    const began = performance.now();
    idle.stop();
    await running;
    assert.ok(performance.now() - began < 300, `it took ${performance.now() - began} ms`);
    assert.ok(renewed > 0 && renewed < before);
    assert.equal(memory.staleTokens, before - renewed);
    // What a question finds: nothing to encode.
    assert.equal((await read(wanted)).prefilledTokens, 0);
    idle.wait();
    await until(() => memory.patchedTokens === 0);
    assert.equal(renewed, before, "no document was encoded twice");
  });

  it("begins nothing after it was disposed of", async () => {
    await edit();
    idle.dispose();
    idle.wait();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(memory.patchedTokens > 0);
  });
});
