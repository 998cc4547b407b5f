// encoder.ts — many texts to token ids: what was encoded before comes from the cache, a little more is encoded here, and a lot in
// threads.
//
// In: texts, an AbortSignal. Out: ids, in the texts' order. A thread needs its own tokenizer, which takes longer to build than a
// megabyte takes to encode: `poolFrom` says from where threads pay. A thread that fails is not missed: its texts are encoded here.

import { availableParallelism } from "node:os";
import { setImmediate } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { QuireError } from "../errors.ts";
import { startWorker } from "./start-worker.ts";
import { keyOf, type TokenCache } from "./token-cache.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { EncodeReply, EncodeRequest, WorkerJob } from "./worker.ts";

export interface EncoderDeps {
  start(job: WorkerJob): Worker;
  threads: number;
  /** Characters of cold text from which threads are used. */
  poolFrom: number;
}

const maxThreads = 4;
// Measured on 2 shared cores with Qwen's vocabulary: a thread is ready after 0.9 s, in which one core encodes about 3 MB of code.
const poolFrom = 6_000_000;
const batchLength = 256_000;
// Characters encoded between two looks at the signal and the event loop: some 20 ms.
const sliceLength = 64_000;

const realDeps = (): EncoderDeps => ({
  start: (job) => startWorker(job),
  threads: Math.max(1, Math.min(maxThreads, availableParallelism() - 1)),
  poolFrom,
});

interface Cold {
  text: string;
  key: string;
  /** Where it belongs in the result; the same text may be wanted more than once. */
  places: number[];
}

export class Encoder {
  readonly tokenizer: Tokenizer;
  readonly #cache: TokenCache;
  readonly #deps: EncoderDeps;

  constructor(tokenizer: Tokenizer, cache: TokenCache, deps: EncoderDeps = realDeps()) {
    this.tokenizer = tokenizer;
    this.#cache = cache;
    this.#deps = deps;
  }

  /** Ids of each text, as `Tokenizer.encode` gives them; the arrays are shared with the cache and not to be written to. Throws "cancelled". */
  async encodeAll(texts: readonly string[], signal?: AbortSignal): Promise<Int32Array[]> {
    checkSignal(signal);
    const result = new Array<Int32Array>(texts.length);
    const cold = new Map<string, Cold>();
    let length = 0;
    texts.forEach((text, place) => {
      const key = keyOf(text);
      const ids = this.#cache.get(key);
      if (ids !== undefined) {
        result[place] = ids;
        return;
      }
      const same = cold.get(key);
      if (same !== undefined) same.places.push(place);
      else {
        cold.set(key, { text, key, places: [place] });
        length += text.length;
      }
    });
    const deliver = ({ key, places }: Cold, ids: Int32Array): void => {
      this.#cache.set(key, ids);
      for (const place of places) result[place] = ids;
    };
    const waiting = [...cold.values()];
    const left = length >= this.#deps.poolFrom ? await this.#inThreads(waiting, deliver, signal) : waiting;
    await this.#here(left, deliver, signal);
    return result;
  }

  async #here(
    texts: Cold[],
    deliver: (text: Cold, ids: Int32Array) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let since = 0;
    for (const text of texts) {
      since += text.text.length;
      if (since > sliceLength) {
        since = 0;
        await setImmediate();
      }
      checkSignal(signal);
      deliver(text, this.tokenizer.encode(text.text));
    }
  }

  /** Encodes in threads; returns the texts that were not, because their thread failed. */
  async #inThreads(
    texts: Cold[],
    deliver: (text: Cold, ids: Int32Array) => void,
    signal: AbortSignal | undefined,
  ): Promise<Cold[]> {
    const done = new Set<Cold>();
    let next = 0;
    const take = (): EncodeRequest | null => {
      const first = next;
      for (let length = 0; next < texts.length && length < batchLength; next++) length += texts[next]?.text.length ?? 0;
      return next === first ? null : { first, texts: texts.slice(first, next).map(({ text }) => text) };
    };
    const runOne = (): Promise<void> =>
      new Promise((resolve) => {
        const worker = this.#deps.start({ job: "encode", source: this.tokenizer.source });
        worker.ref();
        const finish = (): void => {
          signal?.removeEventListener("abort", finish);
          worker.removeAllListeners();
          worker.on("error", () => {}); // its texts are still in the list
          void worker.terminate();
          resolve();
        };
        const feed = (): void => {
          const request = take();
          if (request === null) finish();
          else worker.postMessage(request);
        };
        signal?.addEventListener("abort", finish);
        worker.on("message", ({ first, ids }: EncodeReply) => {
          ids.forEach((list, i) => {
            const text = texts[first + i];
            if (text === undefined) return;
            done.add(text);
            deliver(text, list);
          });
          feed();
        });
        worker.on("error", finish);
        worker.on("exit", finish);
        feed();
      });
    await Promise.all(Array.from({ length: this.#deps.threads }, runOne));
    checkSignal(signal);
    return texts.filter((text) => !done.has(text));
  }
}

function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new QuireError("cancelled", "Tokenizing was cancelled.");
}
