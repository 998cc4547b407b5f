// peer.mjs — llama.cpp in a process of its own, to be compared with: JSON lines in, JSON lines out.
//
// In: `node peer.mjs <folder that holds node_modules/node-llama-cpp>`, then one request a line: {id, method, params}. Out: one
// line a request: {id, result} or {id, error}; everything else goes to standard error. Methods: open, tokenize, detokenize,
// logits, prefill, decode, readAndStep, generate, libraries,
// close. Runs on the CPU with the binary as shipped: never builds, never downloads.
// It drives node-llama-cpp's own bindings (`_ctx`, pinned version), so that no JavaScript between the tokens counts
// against llama.cpp's speed.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

process.env.NODE_LLAMA_CPP_SKIP_DOWNLOAD = "true";
const folder = process.argv[2];
if (folder === undefined) throw new Error("Which folder holds node_modules/node-llama-cpp?");
const { getLlama } = await import(
  pathToFileURL(join(folder, "node_modules", "node-llama-cpp", "dist", "index.js")).href
);

/** @type {{llama: any, model: any, context: any, sampler: any, threads: number, batch: number, size: number} | null} */
let open = null;

/** @returns {NonNullable<typeof open>} */
function opened() {
  if (open === null) throw new Error("No model is open.");
  return open;
}

/** Decodes tokens from `first` on in batches; the indexes of the last batch's logits, for all tokens or the last. */
async function decode(tokens, first, all) {
  const { context, threads, batch } = opened();
  let indexes = [];
  for (let at = 0; at < tokens.length; at += batch) {
    const part = Uint32Array.from(tokens.slice(at, at + batch));
    const last = at + batch >= tokens.length;
    const wanted = all ? Uint32Array.from(part.keys()) : last ? Uint32Array.of(part.length - 1) : new Uint32Array(0);
    context._ctx.initBatch(part.length);
    indexes = [...context._ctx.addToBatch(0, first + at, part, wanted)];
    context._ctx.setThreads(threads);
    await context._ctx.decodeBatch();
  }
  return indexes;
}

/** The most probable token at a logit index. */
async function sample(index) {
  const { context, sampler } = opened();
  return await context._ctx.sampleToken(index, sampler);
}

/** Empties the KV cache. */
function forget() {
  opened().context._ctx.disposeSequence(0);
}

const methods = {
  /** contextSize tokens, threads, batchSize (512); f16 KV, flash attention unless it is switched off. */
  async open({ path, contextSize, threads, batchSize = 512, flashAttention = true }) {
    if (open !== null) throw new Error("A model is open.");
    const llama = await getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      progressLogs: false,
      maxThreads: 0,
      logger: (level, message) => process.stderr.write(`llama.cpp ${level}: ${message}\n`),
    });
    const model = await llama.loadModel({ modelPath: path, gpuLayers: 0, ignoreMemorySafetyChecks: true });
    const context = await model.createContext({
      contextSize,
      batchSize,
      threads,
      flashAttention,
      experimentalKvCacheKeyType: "F16",
      experimentalKvCacheValueType: "F16",
      ignoreMemorySafetyChecks: true,
      failedCreationRemedy: false,
    });
    const sampler = new llama._bindings.AddonSampler(model._model);
    sampler.applyConfig({ temperature: 0 });
    open = { llama, model, context, sampler, threads, batch: batchSize, size: contextSize };
    return {
      contextSize: context.contextSize,
      release: llama.llamaCppRelease,
      systemInfo: llama.systemInfo,
      threads,
      batchSize,
      flashAttention,
      kv: "f16",
    };
  },

  /** Ids of a text; control tokens are characters unless `special`. */
  async tokenize({ text, special = false }) {
    return [...opened().model._model.tokenize(text, special)];
  },

  async detokenize({ tokens }) {
    return opened().model._model.detokenize(Uint32Array.from(tokens), false);
  },

  /** Teacher-forced: after each token, the `top` most probable next ids and their natural-log probabilities, best first. */
  async logits({ tokens, top }) {
    const { context, sampler, batch } = opened();
    forget();
    const rows = [];
    for (let at = 0; at < tokens.length; at += batch) {
      const part = tokens.slice(at, at + batch);
      for (const index of await decode(part, at, true)) {
        // [token, probabilities, confidence, logits]: the logits as id, value, id, value …, from the highest down.
        const flat = (await context._ctx.sampleToken(index, sampler, false, false, true))[3];
        const highest = flat[1];
        let sum = 0;
        for (let i = 1; i < flat.length; i += 2) sum += Math.exp(flat[i] - highest);
        const total = highest + Math.log(sum);
        const row = { ids: [], logProbabilities: [] };
        for (let i = 0; i < top; i++) {
          row.ids.push(flat[2 * i]);
          row.logProbabilities.push(flat[2 * i + 1] - total);
        }
        rows.push(row);
      }
    }
    return rows;
  },

  /** Seconds to prefill `tokens` after `before`, which is not counted. */
  async prefill({ before, tokens }) {
    forget();
    await decode(before, 0, false);
    const start = process.hrtime.bigint();
    await decode(tokens, before.length, false);
    return Number(process.hrtime.bigint() - start) / 1e9;
  },

  /** Seconds of each single-token step over `tokens`, one after the other, after `before`. */
  async decode({ before, tokens }) {
    forget();
    await decode(before, 0, false);
    const seconds = [];
    for (const [i, token] of tokens.entries()) {
      const start = process.hrtime.bigint();
      await decode([token], before.length + i, false);
      seconds.push(Number(process.hrtime.bigint() - start) / 1e9);
    }
    return seconds;
  },

  /**
   * Reads `tokens` once; at each of `lengths`, ascending: the seconds of reading that far, and the seconds of `steps` single-token
   * steps over what follows, which are taken back before reading goes on.
   */
  async readAndStep({ tokens, lengths, steps }) {
    const { context } = opened();
    forget();
    const results = [];
    let [read, at] = [0, 0];
    for (const length of lengths) {
      const begin = process.hrtime.bigint();
      await decode(tokens.slice(at, length), at, false);
      read += Number(process.hrtime.bigint() - begin) / 1e9;
      const start = process.hrtime.bigint();
      for (let i = 0; i < steps; i++) await decode([tokens[length + i]], length + i, false);
      const decodeSeconds = Number(process.hrtime.bigint() - start) / 1e9;
      results.push({ readSeconds: read, decodeSeconds });
      if (!context._ctx.removeTokenCellsFromSequence(0, length, -1)) throw new Error("The cache cannot be cut.");
      at = length;
    }
    return results;
  },

  /** Greedy continuation until a stop token (not returned) or `maxTokens`. `keep` tokens already in the cache are not read again. */
  async generate({ tokens, maxTokens, stopTokens = [], keep = 0 }) {
    const { context, model, size } = opened();
    if (tokens.length + maxTokens > size) throw new Error(`${tokens.length} + ${maxTokens} tokens do not fit ${size}.`);
    if (keep >= tokens.length) throw new Error("At least one token must be read.");
    if (keep === 0) forget();
    else if (!context._ctx.removeTokenCellsFromSequence(0, keep, -1)) throw new Error("The cache cannot be cut.");
    const start = process.hrtime.bigint();
    let [index] = await decode(tokens.slice(keep), keep, false);
    const prefillSeconds = Number(process.hrtime.bigint() - start) / 1e9;
    const answer = [];
    const stops = new Set(stopTokens);
    let stop = "length";
    while (answer.length < maxTokens) {
      const token = await sample(index);
      if (stops.has(token) || model._model.isEogToken(token)) {
        stop = "stop-token";
        break;
      }
      answer.push(token);
      if (answer.length < maxTokens) [index] = await decode([token], tokens.length + answer.length - 1, false);
    }
    const decodeSeconds = Number(process.hrtime.bigint() - start) / 1e9 - prefillSeconds;
    return {
      tokens: answer,
      text: model._model.detokenize(Uint32Array.from(answer), false),
      stop,
      prefillSeconds,
      decodeSeconds,
    };
  },

  /** The ggml libraries that this process has loaded (Linux; elsewhere none are listed). */
  async libraries() {
    if (process.platform !== "linux") return [];
    const names = readFileSync("/proc/self/maps", "utf8").match(/lib(?:ggml|llama)[^/\s]*\.so/gu) ?? [];
    return [...new Set(names)].sort();
  },

  async close() {
    const { context, model, llama } = opened();
    open = null;
    await context.dispose();
    await model.dispose();
    await llama.dispose();
    return null;
  },
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
  const { id, method, params } = JSON.parse(line);
  let reply;
  try {
    if (!Object.hasOwn(methods, method)) throw new Error(`There is no method ${method}.`);
    reply = { id, result: await methods[method](params ?? {}) };
  } catch (error) {
    reply = { id, error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
process.exit(0);
