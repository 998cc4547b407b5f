// engine.test.ts — the memory's promises on real weights: bits, selection, cancel within 300 ms, opening.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type GgufModel, readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import { Tokenizer } from "../../engine/tokenize/tokenizer.ts";
import type { Memory, Model, Selection } from "../../native/index.d.ts";
import { dense, options } from "../engine/generate-options.ts";
import { fetchedModel } from "./fetched-model.ts";

const begin = Int32Array.of(0);
const none = new Int32Array(0);
const quiet = (): void => {};
const cancelMs = 300;

describe("the engine with the 491 MB model", function () {
  this.timeout(600_000);
  let file: GgufModel;
  let model: Model;
  let text: Int32Array;

  before(async () => {
    const path = await fetchedModel("qwen2.5-coder-0.5b");
    file = await readGguf(path);
    model = await open(0);
    const source = ["memory/memory.cpp", "decode/forward.cpp", "model/model.cpp"].map((name) =>
      readFileSync(new URL(`../../native/${name}`, import.meta.url), "utf8"),
    );
    text = new Tokenizer(file.tokenizer).encode(source.join("\n"));
    assert.ok(text.length > 6000);
  });

  after(() => model.dispose());

  function open(threads: number): Promise<Model> {
    const { path, geometry, tensors } = file;
    return native().openModel({ path, geometry, tensors, threads, cpu: "auto" });
  }

  function memoryOf(of: Model, pages = 512): Memory {
    return new (native().Memory)(of, { pages, summary: "mean-spread", rope: { factor: 1, originalContext: 0 } });
  }

  it("keeps the same bits for any chunking, thread count and resume", async () => {
    const tokens = text.slice(0, 700);
    const digests = new Set<string>();
    const read = async (of: Model, sizes: number[]): Promise<void> => {
      const memory = memoryOf(of);
      for (let from = 0, i = 0; from < tokens.length; i++) {
        const size = sizes[i % sizes.length] ?? 1;
        await memory.append(tokens.slice(from, from + size), from === 0 ? begin : none);
        from += size;
      }
      digests.add(memory.digest());
      // Resumed: half is dropped and read again.
      memory.truncate(1, 333);
      await memory.append(tokens.slice(333), none);
      digests.add(memory.digest());
      memory.dispose();
    };
    for (const sizes of [[700], [512], [1, 63, 100, 17]]) await read(model, sizes);
    const single = await open(1);
    await read(single, [256]);
    single.dispose();
    assert.equal(digests.size, 1, [...digests].join(", "));
  });

  it("gives the dense logits bit for bit when every page is chosen", async () => {
    const tokens = text.slice(0, 1500);
    const forced = text.slice(1500, 1504);
    const run = async (selection: Selection): Promise<Float32Array> => {
      const memory = memoryOf(model);
      await memory.append(tokens, begin);
      const { logits } = await memory.generate(options({ selection, forced, logits: true }), quiet);
      memory.dispose();
      assert.ok(logits);
      return logits;
    };
    const expected = await run(dense);
    assert.deepEqual(await run({ ...dense, pageBudget: 1 << 20, force: true }), expected);
  });

  it(`stops within ${cancelMs} ms at any point of a read and of an answer`, async () => {
    const memory = memoryOf(model, 1024);
    await memory.append(text.slice(0, 3000), begin);
    const late: number[] = [];
    for (const wait of [5, 60, 150, 333, 700, 1100]) {
      const chunk = memory.append(text.slice(3000, 5000), none);
      await new Promise((resolve) => setTimeout(resolve, wait));
      const asked = performance.now();
      memory.cancel();
      await assert.rejects(chunk);
      late.push(performance.now() - asked);
      assert.equal(memory.tokens, 3000);
    }
    for (const wait of [5, 100, 400]) {
      const answer = memory.generate(options({ maxTokens: 5000 }), quiet);
      await new Promise((resolve) => setTimeout(resolve, wait));
      const asked = performance.now();
      memory.cancel();
      assert.equal((await answer).stop, "cancelled");
      late.push(performance.now() - asked);
    }
    memory.dispose();
    console.log(`      stopped after ${late.map((ms) => ms.toFixed(0)).join(", ")} ms`);
    assert.ok(Math.max(...late) <= cancelMs, late.join(", "));
  });

  it("with page selection answers like dense attention where the budget is a quarter of the context", async () => {
    const memory = memoryOf(model, 512);
    await memory.append(text.slice(0, 4096), begin);
    const forced = text.slice(4096, 4128);
    const exact = await memory.generate(options({ forced }), quiet);
    memory.truncate(1, 4095);
    await memory.append(text.slice(4095, 4096), none);
    const selected = await memory.generate(options({ forced, selection: { ...dense, pageBudget: 1024 } }), quiet);
    memory.dispose();
    const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    const loss = mean(exact.logProbabilities) - mean(selected.logProbabilities);
    console.log(`      loss of selection ${loss.toFixed(4)} nats a token`);
    assert.ok(Math.abs(loss) < 0.15, `${loss}`);
    assert.ok(selected.pagesAttended < 0.3 * selected.pagesTotal);
  });
});
