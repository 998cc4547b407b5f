// selection.ts — what page selection costs in answers: KL divergence to dense attention and captured attention mass.
//
//   npm run bench -- selection [--model qwen2.5-coder-0.5b] [--tokens 8192] [--budgets 512,1024] [--steps 48] [--json]
//
// A context of real source is read densely; then `steps` further tokens are forced, once with dense attention and once per
// summary, vote and budget. KL(dense ‖ selected) over the whole vocabulary, in nats, mean over steps; the mass that the chosen
// pages would have captured, measured beside dense attention, mean over steps, layers and query heads. Quest's own way is
// min-max with a list per query head. Rows go to results/selection.json.

import { parseArgs } from "node:util";
import { readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import type { GenerateOptions, Memory, Selection } from "../../native/index.d.ts";
import { dense } from "../engine/generate-options.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { divergence } from "./divergence.ts";
import { printRow, provenance, type Row, writeRows } from "./results-file.ts";
import { sourceTokens } from "./source-text.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "qwen2.5-coder-0.5b" },
    tokens: { type: "string", default: "8192" },
    budgets: { type: "string", default: "512,1024" },
    steps: { type: "string", default: "48" },
    json: { type: "boolean", default: false },
  },
});
const tokens = Number(values.tokens);
const steps = Number(values.steps);
const budgets = values.budgets.split(",").map(Number);
const chunk = 512;

const path = await fetchedModel(values.model);
const { geometry, tensors, tokenizer } = await readGguf(path);
const model = await native().openModel({ path, geometry, tensors, threads: 0, cpu: "auto" });
const text = sourceTokens(tokenizer, tokens + steps);
const forced = text.slice(tokens);
const made = provenance();
const rows: Row[] = [];

async function run(memory: Memory, selection: Selection) {
  const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, seed: 0 };
  const options: GenerateOptions = {
    maxTokens: steps,
    sampling,
    selection,
    stopTokens: [],
    pageMass: false,
    forced,
    logits: true,
  };
  const result = await memory.generate(options, () => {});
  memory.truncate(1, tokens - 1);
  await memory.append(text.slice(tokens - 1, tokens), new Int32Array(0));
  return result;
}

for (const summary of ["mean-spread", "min-max"] as const) {
  const memory = new (native().Memory)(model, {
    pages: Math.ceil((tokens + steps) / 16) + 8,
    summary,
    rope: { factor: 1, originalContext: 0 },
  });
  for (let from = 0; from < tokens; from += chunk) {
    await memory.append(
      text.slice(from, Math.min(tokens, from + chunk)),
      from === 0 ? Int32Array.of(0) : new Int32Array(0),
    );
    process.stderr.write(`${summary}: ${Math.min(tokens, from + chunk)} of ${tokens} tokens read\n`);
  }
  const exact = await run(memory, dense);
  for (const vote of ["softmax", "max", "per-head"] as const) {
    for (const pageBudget of budgets) {
      const selected = await run(memory, { ...dense, pageBudget, vote });
      const { capturedMass } = await run(memory, { ...dense, pageBudget, vote, observe: true });
      const row = (logits: Float32Array | null, i: number): Float32Array =>
        logits?.subarray(i * geometry.vocabulary, (i + 1) * geometry.vocabulary) ?? new Float32Array();
      const kl =
        forced.reduce((sum, _, i) => sum + divergence(row(exact.logits, i), row(selected.logits, i)), 0) / steps;
      const loss = (r: typeof exact): number => -r.logProbabilities.reduce((sum, value) => sum + value, 0) / steps;
      rows.push({
        bench: "selection",
        model: values.model,
        tokens,
        steps,
        summary,
        vote,
        pageBudget,
        kl,
        capturedMass,
        loss: loss(selected),
        denseLoss: loss(exact),
        pagesAttended: selected.pagesAttended,
        pagesTotal: selected.pagesTotal,
        backend: model.info.backend,
        ...made,
      });
      printRow(rows.at(-1) ?? {}, values.json);
    }
  }
  memory.dispose();
}
model.dispose();
writeRows("selection", rows);
