// native.test.ts — the addon's surface on a small random model: the memory's promises (the same bits however computed), page
// selection, teacher forcing, cancel, guards, and what opening refuses.

import assert from "node:assert/strict";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { GGMLQuantizationType as T } from "@huggingface/gguf";
import { type GgufModel, readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import type { GenerateOptions, Memory, MemoryOptions, Model, Selection } from "../../native/index.d.ts";
import { dense, options } from "./generate-options.ts";
import { randomFrom, tinyModel, writeGguf } from "./models/gguf-writer.ts";

const plainRope = { factor: 1, originalContext: 0 };

const none = new Int32Array(0);
const begin = Int32Array.of(0);
const quiet = (): void => {};

function tokensOf(count: number, seed = 7): Int32Array {
  const random = randomFrom(seed);
  return Int32Array.from({ length: count }, () => Math.floor(random() * 280));
}

function rejectsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Error && "code" in error && error.code === code;
}

describe("the native addon", () => {
  let folder = "";
  const files = new Map<string, GgufModel>();
  const open: Model[] = [];

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "quire-native-"));
    for (const [name, file] of [
      ["llama", tinyModel({ heads: 8, kvHeads: 2, matrices: T.Q8_0, embedding: 64, feedForward: 96 })],
      ["qwen2", tinyModel({ architecture: "qwen2", heads: 6, kvHeads: 1, embedding: 96, matrices: T.Q4_0, seed: 3 })],
    ] as const) {
      const where = path.join(folder, `${name}.gguf`);
      await writeFile(where, writeGguf(file).bytes);
      files.set(name, await readGguf(where));
    }
  });

  after(async () => {
    for (const model of open) model.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  function fileOf(name: string): GgufModel {
    const file = files.get(name);
    assert.ok(file);
    return file;
  }

  async function openTiny(name: string, threads = 2, cpu = "auto"): Promise<Model> {
    const { path: where, geometry, tensors } = fileOf(name);
    const model = await native().openModel({ path: where, geometry, tensors, threads, cpu });
    open.push(model);
    return model;
  }

  function memoryOf(model: Model, change: Partial<MemoryOptions> = {}): Memory {
    return new (native().Memory)(model, { pages: 64, summary: "mean-spread", rope: plainRope, ...change });
  }

  describe("keys and values", () => {
    const tokens = tokensOf(150);
    const starts = [0, 33, 34, 100];

    async function read(memory: Memory, sizes: number): Promise<string> {
      for (let from = 0; from < tokens.length; from += sizes) {
        const inside = starts.filter((start) => start >= from && start < from + sizes).map((start) => start - from);
        await memory.append(tokens.slice(from, from + sizes), Int32Array.from(inside));
      }
      return memory.digest();
    }

    for (const name of ["llama", "qwen2"]) {
      it(`have the same bits for any chunking and any number of threads (${name})`, async () => {
        for (const cpu of native().machine().cpuBackends) {
          const digests = new Set<string>();
          for (const threads of [1, 2, 3]) {
            const model = await openTiny(name, threads, cpu);
            for (const size of [150, 64, 17, 1]) digests.add(await read(memoryOf(model), size));
          }
          assert.equal(digests.size, 1, `${cpu}: ${[...digests].join(", ")}`);
        }
      });
    }

    it("differ when a single token differs", async () => {
      const model = await openTiny("llama");
      const one = memoryOf(model);
      const other = memoryOf(model);
      const changed = tokens.slice();
      changed[40] = (changed[40] ?? 0) === 5 ? 6 : 5;
      await one.append(tokens, begin);
      await other.append(changed, begin);
      assert.notEqual(one.digest(), other.digest());
    });

    it("are those of a fresh read after a tail was dropped and another one read", async () => {
      const model = await openTiny("llama");
      const fresh = memoryOf(model);
      await fresh.append(tokens.slice(0, 90), begin);
      await fresh.append(tokens.slice(90), begin);
      const used = memoryOf(model);
      await used.append(tokens.slice(0, 90), begin);
      await used.append(tokensOf(40, 9), begin);
      await used.generate(options(), quiet);
      used.truncate(1);
      await used.append(tokens.slice(90), begin);
      assert.equal(used.digest(), fresh.digest());
    });

    it("depend on the RoPE scaling that the memory was made for", async () => {
      const model = await openTiny("llama");
      const stretched = memoryOf(model, { rope: { factor: 4, originalContext: 128 } });
      const plain = memoryOf(model);
      await stretched.append(tokens, begin);
      await plain.append(tokens, begin);
      assert.notEqual(stretched.digest(), plain.digest());
    });
  });

  describe("logits", () => {
    it("of a chunk are those of its tokens one by one", async () => {
      const model = await openTiny("qwen2");
      const tokens = tokensOf(40);
      const whole = await memoryOf(model).appendWithLogits(tokens, begin);
      const single = memoryOf(model);
      const rows: number[] = [];
      for (let i = 0; i < tokens.length; i++) {
        rows.push(...(await single.appendWithLogits(tokens.slice(i, i + 1), i === 0 ? begin : none)));
      }
      assert.deepEqual([...whole], rows);
    });

    it("of every backend agree with the plain loops", async () => {
      const tokens = tokensOf(64);
      for (const name of ["llama", "qwen2"]) {
        const reference = await memoryOf(await openTiny(name, 1, "plain")).appendWithLogits(tokens, begin);
        const scale = Math.max(...reference.map(Math.abs));
        for (const cpu of native().machine().cpuBackends) {
          const logits = await memoryOf(await openTiny(name, 2, cpu)).appendWithLogits(tokens, begin);
          const worst = logits.reduce((most, value, i) => Math.max(most, Math.abs(value - (reference[i] ?? 0))), 0);
          // Sums in another order move an activation's code by one now and then, 1/127 of its block's largest value.
          assert.ok(worst < 0.05 * scale, `${name} on ${cpu}: ${worst} of ${scale}`);
        }
      }
    });
  });

  describe("page selection", () => {
    const long = tokensOf(600);

    async function forced(
      model: Model,
      selection: Selection,
      summary: MemoryOptions["summary"],
    ): Promise<Float32Array> {
      const memory = memoryOf(model, { summary });
      await memory.append(long, begin);
      const result = await memory.generate(options({ selection, forced: tokensOf(12, 11), logits: true }), quiet);
      assert.ok(result.logits);
      return result.logits;
    }

    for (const vote of ["softmax", "max", "per-head"] as const) {
      for (const summary of ["mean-spread", "min-max"] as const) {
        it(`that chooses every page gives the dense logits bit for bit (${summary}, ${vote})`, async () => {
          const model = await openTiny("llama");
          const expected = await forced(model, dense, summary);
          const all = { ...dense, pageBudget: 1 << 20, vote, force: true };
          assert.deepEqual(await forced(model, all, summary), expected);
        });
      }
    }

    it("below the context changes the logits and loads what the budget allows", async () => {
      const model = await openTiny("llama");
      const memory = memoryOf(model);
      await memory.append(long, begin);
      const selection = { ...dense, pageBudget: 160 };
      const result = await memory.generate(options({ maxTokens: 4, selection, pageMass: true }), quiet);
      const { layers, kvHeads } = fileOf("llama").geometry;
      assert.equal(result.pagesSelected, 4 * layers * kvHeads * 10);
      assert.equal(result.pagesAttended, result.pagesSelected);
      const pages = [38, 38, 38, 38]; // 601 to 604 tokens
      assert.equal(result.pagesTotal, pages.reduce((sum, count) => sum + count, 0) * layers * kvHeads);
      assert.equal(result.pagesScored, result.pagesTotal);
      assert.ok(result.pageMass);
      const mass = result.pageMass.reduce((sum, value) => sum + value, 0);
      assert.ok(Math.abs(mass - 4 * layers * fileOf("llama").geometry.heads) < 0.01, `mass ${mass}`);
      assert.ok(result.pageMass.filter((value) => value > 0).length < 38);
      assert.notDeepEqual(await forced(model, selection, "mean-spread"), await forced(model, dense, "mean-spread"));
    });

    it("per query head, as in the paper, loads a list for each", async () => {
      const memory = memoryOf(await openTiny("llama"), { summary: "min-max" });
      await memory.append(long, begin);
      const selection: Selection = { ...dense, pageBudget: 160, vote: "per-head" };
      const result = await memory.generate(options({ maxTokens: 1, selection }), quiet);
      const { layers, heads } = fileOf("llama").geometry;
      assert.equal(result.pagesSelected, layers * heads * 10);
    });

    it("observed captures all of the attention with every page and less with few, and changes nothing", async () => {
      const model = await openTiny("llama");
      const few = { ...dense, pageBudget: 160, observe: true };
      for (const vote of ["softmax", "per-head"] as const) {
        const memory = memoryOf(model);
        await memory.append(long, begin);
        const all = { ...few, pageBudget: 1 << 20, vote, force: true };
        const whole = await memory.generate(options({ selection: all, maxTokens: 2 }), quiet);
        assert.ok(Math.abs(whole.capturedMass - 1) < 1e-4, `${whole.capturedMass}`);
        const part = await memory.generate(options({ selection: { ...few, vote }, maxTokens: 2 }), quiet);
        assert.ok(part.capturedMass > 160 / 640 / 2 && part.capturedMass < 0.99, `${part.capturedMass}`);
      }
      assert.deepEqual(await forced(model, few, "mean-spread"), await forced(model, dense, "mean-spread"));
    });

    it("leaves the first layers dense when asked", async () => {
      const memory = memoryOf(await openTiny("llama"));
      await memory.append(long, begin);
      const selection = { ...dense, pageBudget: 160, denseLayers: 1 };
      const result = await memory.generate(options({ maxTokens: 1, selection }), quiet);
      const { kvHeads } = fileOf("llama").geometry;
      assert.equal(result.pagesSelected, kvHeads * 10);
      assert.equal(result.pagesAttended, kvHeads * (10 + 38));
    });
  });

  describe("generating", () => {
    it("hands out the tokens that it returns, and they are in memory", async () => {
      const memory = memoryOf(await openTiny("llama"));
      await memory.append(tokensOf(20), begin);
      const seen: number[] = [];
      const result = await memory.generate(options(), (tokens) => seen.push(...tokens));
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(result.stop, "length");
      assert.equal(result.tokens.length, 8);
      assert.deepEqual(seen, [...result.tokens]);
      assert.equal(memory.tokens, 28);
    });

    it("ends at a stop token, which is not part of the answer", async () => {
      const model = await openTiny("llama");
      const free = memoryOf(model);
      await free.append(tokensOf(20), begin);
      const first = await free.generate(options({ maxTokens: 3 }), quiet);
      const memory = memoryOf(model);
      await memory.append(tokensOf(20), begin);
      const stopped = await memory.generate(options({ stopTokens: [first.tokens[1] ?? -1] }), quiet);
      assert.equal(stopped.stop, "stop-token");
      assert.deepEqual([...stopped.tokens], [first.tokens[0]]);
    });

    it("stops with what it has when the memory is full", async () => {
      const memory = memoryOf(await openTiny("llama"), { pages: 2 });
      await memory.append(tokensOf(30), begin);
      const result = await memory.generate(options(), quiet);
      assert.equal(result.stop, "full");
      assert.equal(result.tokens.length, 2);
      assert.equal(memory.tokens, 32);
    });

    it("gives log-probabilities of forced tokens that sum to one over the vocabulary", async () => {
      const memory = memoryOf(await openTiny("llama"));
      await memory.append(tokensOf(20), begin);
      const forced = Int32Array.of(5);
      const { logProbabilities, logits } = await memory.generate(options({ forced, logits: true }), quiet);
      assert.ok(logits);
      const highest = Math.max(...logits);
      const sum = logits.reduce((total, value) => total + Math.exp(value - highest), 0);
      assert.ok(Math.abs((logProbabilities[0] ?? 0) - ((logits[5] ?? 0) - highest - Math.log(sum))) < 1e-4);
    });

    it("refuses options out of range and names them", async () => {
      const memory = memoryOf(await openTiny("llama"));
      await memory.append(tokensOf(4), begin);
      const bad: [Partial<GenerateOptions>, string][] = [
        [{ maxTokens: -1 }, "maxTokens"],
        [{ maxTokens: 1.5 }, "maxTokens"],
        [{ maxTokens: Number.NaN }, "maxTokens"],
        [{ sampling: { ...options().sampling, temperature: -1 } }, "temperature"],
        [{ sampling: { ...options().sampling, topP: 0 } }, "topP"],
        [{ selection: { ...dense, recentPages: 0 } }, "recentPages"],
        [{ selection: { ...dense, pageBudget: 2 ** 40 } }, "pageBudget"],
        [{ forced: Int32Array.of(100_000) }, "forced"],
      ];
      for (const [change, where] of bad) {
        await assert.rejects(
          async () => memory.generate(options(change), quiet),
          (error: unknown) =>
            rejectsWith("bad-option")(error) && error instanceof Error && "where" in error && error.where === where,
          where,
        );
      }
    });
  });

  describe("cancel", () => {
    it("leaves the memory as it was before the chunk", async () => {
      const memory = memoryOf(await openTiny("llama", 1, "plain"), { pages: 400 });
      await memory.append(tokensOf(21), begin);
      const before = memory.digest();
      const chunk = memory.append(tokensOf(5000), none);
      setTimeout(() => memory.cancel(), 30);
      await assert.rejects(chunk, rejectsWith("cancelled"));
      assert.equal(memory.tokens, 21);
      assert.equal(memory.digest(), before);
    });

    it("ends an answer with what it has", async () => {
      const memory = memoryOf(await openTiny("llama"), { pages: 4000 });
      await memory.append(tokensOf(21), begin);
      const answer = memory.generate(options({ maxTokens: 50_000 }), quiet);
      setTimeout(() => memory.cancel(), 30);
      const result = await answer;
      assert.equal(result.stop, "cancelled");
      assert.equal(memory.tokens, 21 + result.tokens.length);
    });
  });

  describe("guards", () => {
    it("a second call while one runs is refused, and the first one goes on", async () => {
      const model = await openTiny("llama");
      const memory = memoryOf(model);
      const running = memory.append(tokensOf(500), begin);
      assert.throws(() => memory.append(tokensOf(1), none), rejectsWith("busy"));
      assert.throws(() => memory.tokens, rejectsWith("busy"));
      assert.throws(() => memoryOf(model).append(tokensOf(1), begin), rejectsWith("busy"));
      await running;
      assert.equal(memory.tokens, 500);
    });

    it("a call after dispose is refused", async () => {
      const model = await openTiny("llama");
      const memory = memoryOf(model);
      memory.dispose();
      assert.throws(() => memory.append(tokensOf(1), begin), rejectsWith("disposed"));
      model.dispose();
      assert.throws(() => model.info, rejectsWith("disposed"));
      assert.throws(() => memoryOf(model), rejectsWith("disposed"));
    });

    it("a memory outlives the handle of its model, and a call outlives both", async () => {
      const model = await openTiny("llama");
      const memory = memoryOf(model);
      const running = memory.append(tokensOf(100), begin);
      model.dispose();
      await running;
      assert.equal(memory.tokens, 100);
    });

    it("tokens outside the vocabulary and wrong types are refused", async () => {
      const memory = memoryOf(await openTiny("llama"));
      await assert.rejects(async () => memory.append(Int32Array.of(-1), begin), rejectsWith("bad-option"));
      await assert.rejects(async () => memory.append(Int32Array.of(288), begin), rejectsWith("bad-option"));
      assert.throws(() => memory.append([1] as unknown as Int32Array, begin), rejectsWith("bad-option"));
      assert.throws(() => memory.truncate(3), rejectsWith("bad-option"));
      assert.equal(memory.tokens, 0);
    });
  });

  describe("opening", () => {
    type Change = (file: GgufModel) => Partial<GgufModel>;
    const refusals: [string, Change, string, string][] = [
      ["a missing tensor", (f) => ({ tensors: f.tensors.slice(1) }), "invalid-model", "token_embd.weight"],
      [
        "two tensors of a name",
        (f) => ({ tensors: [...f.tensors, ...f.tensors.slice(0, 1)] }),
        "invalid-model",
        "token_embd.weight",
      ],
      [
        "an offset beyond the file",
        (f) => ({ tensors: changed(f, 0, { offset: f.fileBytes }) }),
        "invalid-model",
        "token_embd.weight",
      ],
      [
        "a shape that overflows",
        (f) => ({ tensors: changed(f, 0, { shape: [2 ** 40, 2 ** 40] }) }),
        "invalid-model",
        "token_embd.weight",
      ],
      [
        "a dimension of zero",
        (f) => ({ tensors: changed(f, 0, { shape: [0, 288] }) }),
        "invalid-model",
        "token_embd.weight",
      ],
      [
        "another shape",
        (f) => ({ tensors: changed(f, 0, { shape: [64, 287] }) }),
        "invalid-model",
        "token_embd.weight",
      ],
      ["an unknown type", (f) => ({ tensors: changed(f, 0, { type: 99 }) }), "unsupported-model", "token_embd.weight"],
      [
        "heads that KV heads do not divide",
        (f) => ({ geometry: { ...f.geometry, kvHeads: 3 } }),
        "invalid-model",
        "attention.head_count_kv",
      ],
      ["no layers", (f) => ({ geometry: { ...f.geometry, layers: 0 } }), "invalid-model", "block_count"],
      ["too many layers", (f) => ({ geometry: { ...f.geometry, layers: 513 } }), "invalid-model", "block_count"],
      [
        "an epsilon of zero",
        (f) => ({ geometry: { ...f.geometry, normEpsilon: 0 } }),
        "invalid-model",
        "attention.layer_norm_rms_epsilon",
      ],
      [
        "an odd head size",
        (f) => ({ geometry: { ...f.geometry, headSize: 15 } }),
        "invalid-model",
        "attention.key_length",
      ],
      ["a file that is not there", () => ({ path: "/nowhere/model.gguf" }), "model-missing", "/nowhere/model.gguf"],
      ["a folder", () => ({ path: tmpdir() }), "model-missing", tmpdir()],
    ];

    function changed(file: GgufModel, index: number, change: object): GgufModel["tensors"] {
      return file.tensors.map((tensor, i) => (i === index ? { ...tensor, ...change } : tensor));
    }

    for (const [what, change, code, where] of refusals) {
      it(`refuses ${what}`, async () => {
        const file = { ...fileOf("llama"), ...change(fileOf("llama")) };
        await assert.rejects(
          async () =>
            native().openModel({
              path: file.path,
              geometry: file.geometry,
              tensors: file.tensors,
              threads: 1,
              cpu: "plain",
            }),
          (error: unknown) =>
            rejectsWith(code)(error) && error instanceof Error && "where" in error && error.where === where,
        );
      });
    }

    it("refuses a file that was cut off after its header was read", async () => {
      const file = fileOf("llama");
      const short = path.join(folder, "short.gguf");
      await writeFile(
        short,
        writeGguf(tinyModel({ heads: 8, kvHeads: 2, matrices: T.Q8_0, embedding: 64, feedForward: 96 })).bytes,
      );
      await truncate(short, file.fileBytes - 100);
      await assert.rejects(
        native().openModel({ path: short, geometry: file.geometry, tensors: file.tensors, threads: 1, cpu: "plain" }),
        rejectsWith("invalid-model"),
      );
    });

    it("refuses a backend that this processor does not have", async () => {
      assert.throws(() => {
        const { path: where, geometry, tensors } = fileOf("llama");
        void native().openModel({ path: where, geometry, tensors, threads: 1, cpu: "abacus" });
      }, rejectsWith("bad-option"));
    });
  });
});
