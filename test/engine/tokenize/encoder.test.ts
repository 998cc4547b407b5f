// Many texts: from the tokenizer, from the cache, cancelled.

import assert from "node:assert/strict";
import { QuireError } from "../../../engine/errors.ts";
import { Encoder } from "../../../engine/tokenize/encoder.ts";
import { TokenCache } from "../../../engine/tokenize/token-cache.ts";
import { Tokenizer } from "../../../engine/tokenize/tokenizer.ts";
import { tinySource, tinyTokenizer } from "./tiny.ts";

const texts = Array.from({ length: 300 }, (_, i) => `hello ${i % 250} <tool>`.repeat(i % 40));
const long = `${"hello ".repeat(100_000)}${"x".repeat(100_000)}<tool>\u{1f600}`;

describe("Encoder", () => {
  const tokenizer = tinyTokenizer();
  const cacheOf = (): Promise<TokenCache> =>
    TokenCache.open({ folder: null, tokenizerHash: tokenizer.hash, vocabularySize: tokenizer.vocabularySize });
  const cancelled = (error: unknown): boolean => error instanceof QuireError && error.code === "cancelled";

  it("gives each text's ids, in the texts' order", async () => {
    const encoder = new Encoder(tokenizer, await cacheOf());
    const ids = await encoder.encodeAll([...texts, long]);
    assert.deepEqual(
      ids,
      [...texts, long].map((text) => tokenizer.encode(text)),
    );
    assert.deepEqual(await encoder.encodeAll([]), []);
  });

  it("encodes a text once, however often it is wanted", async () => {
    class Counting extends Tokenizer {
      count = 0;
      override encodeInSlices(text: string, length: number): Generator<undefined, Int32Array> {
        this.count++;
        return super.encodeInSlices(text, length);
      }
    }
    const counting = new Counting(tinySource());
    const encoder = new Encoder(counting, await cacheOf());
    await encoder.encodeAll(["a", "b", "a"]);
    await encoder.encodeAll(["b", "a"]);
    assert.equal(counting.count, 2);
  });

  it("lets others run, and stops within 300 ms when it is cancelled", async () => {
    const encoder = new Encoder(tokenizer, await cacheOf());
    const controller = new AbortController();
    let ended = false;
    const running = encoder.encodeAll([long.repeat(40), ...texts], controller.signal).finally(() => {
      ended = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(ended, false);
    const start = performance.now();
    controller.abort();
    await assert.rejects(running, cancelled);
    assert.ok(performance.now() - start < 300);
    await assert.rejects(encoder.encodeAll(texts, AbortSignal.abort()), cancelled);
    assert.equal((await encoder.encodeAll(texts)).length, texts.length);
  });
});
