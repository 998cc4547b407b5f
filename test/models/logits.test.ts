// logits.test.ts — our logits against llama.cpp's on the same weights, teacher-forced over 512 tokens of source code.
//
// Golden rows: test/golden/*.logits.json, made by scripts/golden/make-logits.ts. Bars: issue "ask a real repository", point 4.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import { compareLogits, goldenLogits } from "../golden/compare-logits.ts";
import { goldenModels } from "../golden/golden-models.ts";
import { fetchedModel } from "./fetched-model.ts";

const maxKl = 0.005;
/**
 * The bar is 98 %. llama.cpp itself, with flash attention on and off, agrees on 97.3 % of these positions for the 135M model
 * (98.2 % for the 0.5B): there the raw share can only be near the noise, and the bar holds where llama.cpp is clear.
 */
const leastTop1: Record<string, number> = { "smollm2-135m": 0.96, "qwen2.5-coder-0.5b": 0.98 };

describe("logits against llama.cpp", function () {
  this.timeout(600_000);

  for (const { name } of goldenModels) {
    it(`${name}: mean KL divergence at most ${maxKl} nats, and the same first token`, async () => {
      const path = await fetchedModel(name);
      const { geometry, tensors } = await readGguf(path);
      const file = new URL(`../golden/${name}.logits.json`, import.meta.url);
      const golden = goldenLogits.parse(JSON.parse(readFileSync(file, "utf8")));
      for (const cpu of native()
        .machine()
        .cpuBackends.filter((backend) => backend !== "plain")) {
        const model = await native().openModel({ path, geometry, tensors, threads: 0, cpu });
        const memory = new (native().Memory)(model, {
          pages: 64,
          summary: "mean-spread",
          rope: { factor: 1, originalContext: 0 },
        });
        const logits = await memory.appendWithLogits(Int32Array.from(golden.tokens), Int32Array.of(0));
        memory.dispose();
        model.dispose();
        const { meanKl, top1Agreement, top1AgreementClear, worst } = compareLogits(golden, logits);
        const figures = `${cpu}: KL ${meanKl.toFixed(5)}, top-1 ${top1Agreement.toFixed(4)} (${top1AgreementClear.toFixed(4)} where llama.cpp is clear), worst ${JSON.stringify(worst)}`;
        console.log(`      ${figures}`);
        assert.ok(meanKl <= maxKl, figures);
        assert.ok(top1Agreement >= (leastTop1[name] ?? 0.98) && top1AgreementClear >= 0.99, figures);
      }
    });
  }
});
