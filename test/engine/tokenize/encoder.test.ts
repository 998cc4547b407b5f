// Many texts: here, in threads, from the cache, cancelled.

import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { QuireError } from "../../../engine/errors.ts";
import { Encoder, type EncoderDeps } from "../../../engine/tokenize/encoder.ts";
import { startWorker } from "../../../engine/tokenize/start-worker.ts";
import { TokenCache } from "../../../engine/tokenize/token-cache.ts";
import { tinyTokenizer } from "./tiny.ts";

const texts = Array.from({ length: 300 }, (_, i) => `hello ${i % 250} `.repeat(i % 40));

describe("Encoder", function () {
  this.timeout(30_000);
  const tokenizer = tinyTokenizer();
  const expected = texts.map((text) => tokenizer.encode(text));
  const emptyCache = (): Promise<TokenCache> =>
    TokenCache.open({ folder: null, tokenizerHash: tokenizer.hash, vocabularySize: tokenizer.vocabularySize });
  const make = async (deps: Partial<EncoderDeps>): Promise<Encoder> =>
    new Encoder(tokenizer, await emptyCache(), {
      start: (job) => startWorker(job),
      threads: 2,
      poolFrom: Number.POSITIVE_INFINITY,
      ...deps,
    });
  const cancelled = (error: unknown): boolean => error instanceof QuireError && error.code === "cancelled";

  it("gives each text's ids in order, the same here and in threads", async () => {
    assert.deepEqual(await (await make({})).encodeAll(texts), expected);
    assert.deepEqual(await (await make({ poolFrom: 0 })).encodeAll(texts), expected);
    assert.deepEqual(await (await make({ poolFrom: 0 })).encodeAll([]), []);
  });

  it("takes what it knows from the cache", async () => {
    let started = 0;
    const encoder = await make({
      poolFrom: 1,
      threads: 1,
      start: (job) => {
        started++;
        return startWorker(job);
      },
    });
    await encoder.encodeAll(texts);
    assert.deepEqual(await encoder.encodeAll([...texts].reverse()), [...expected].reverse());
    assert.equal(started, 1);
  });

  it("encodes here what a thread that fails leaves behind", async () => {
    const failing = await make({ poolFrom: 0, start: () => new Worker("throw new Error('broken')", { eval: true }) });
    assert.deepEqual(await failing.encodeAll(texts), expected);
    const ending = await make({ poolFrom: 0, start: () => new Worker("process.exit(0)", { eval: true }) });
    assert.deepEqual(await ending.encodeAll(texts), expected);
  });

  it("stops when it is cancelled, before and while it encodes, and can be used again", async () => {
    for (const poolFrom of [0, Number.POSITIVE_INFINITY]) {
      const encoder = await make({ poolFrom });
      await assert.rejects(encoder.encodeAll(texts, AbortSignal.abort()), cancelled);
      const controller = new AbortController();
      const running = encoder.encodeAll(
        texts.map((text, i) => `${text}${i}`.repeat(20)),
        controller.signal,
      );
      setImmediate(() => controller.abort());
      await assert.rejects(running, cancelled);
      assert.deepEqual(await encoder.encodeAll(texts), expected);
    }
  });
});
