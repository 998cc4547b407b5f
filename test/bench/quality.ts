// quality.ts — what selecting pages costs in answers, paired with dense attention: `npm run bench -- quality`.
//
//   npm run bench -- quality [--models a,b] [--lengths 8192,16384,30000] [--items 200] [--contexts 2] [--reduced] [--backend cpu|cuda]
//                            [--context N] [--out FILE] [--threads 0] [--json]        --context N: only the Nth of each length
//   npm run bench -- quality --rows FOLDER      makes the rows of what `--out` wrote elsewhere (quality/pack.mjs)
//
// Contexts of real source are read once; questions whose answers a program can check (quality/items.ts) follow, read densely. The
// right answer is then forced, once per way of attending, after a dense and after a sparse reading. Right: every token of the answer
// is the likeliest one. Loss: −ln p a token. KL(dense ‖ way) over the vocabulary, in nats, mean over the tokens that follow the first
// of each answer: the first one's logits are the question's. Mass: attention probability that the chosen pages would have captured,
// of every fourth item, on the CPU. Rows go to results/quality.json. --reduced: one model, 8k and 16k, 60 items, fewer ways.

import { appendFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type BackendWish, chooseBackend } from "../../engine/backends.ts";
import { readGguf } from "../../engine/models/gguf.ts";
import { systemPrompt } from "../../engine/render/prompt.ts";
import { readChatTemplate } from "../../engine/tokenize/chat-template.ts";
import { Tokenizer } from "../../engine/tokenize/tokenizer.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { contextOf, corpus, type SourceFile } from "./quality/corpus.ts";
import { makeItems } from "./quality/items.ts";
import { type Bench, type Context, fileTokens, measureContext } from "./quality/measure.ts";
import { type Measured, type Outcome, readMeasured, rowsOf } from "./quality/outcomes.ts";
import { printRow, provenance, writeRows } from "./results-file.ts";

const { values } = parseArgs({
  options: {
    models: { type: "string" },
    lengths: { type: "string" },
    items: { type: "string" },
    contexts: { type: "string" },
    context: { type: "string" },
    reduced: { type: "boolean", default: false },
    backend: { type: "string", default: "cpu" },
    out: { type: "string" },
    rows: { type: "string" },
    threads: { type: "string", default: "0" }, // one per core; on a busy machine 1 is faster: no thread waits for another
    json: { type: "boolean", default: false },
  },
});
const { reduced } = values;
const models = (values.models ?? (reduced ? "qwen2.5-coder-0.5b" : "qwen2.5-coder-1.5b")).split(",");
const lengths = (values.lengths ?? (reduced ? "8192,16384" : "8192,16384,30000")).split(",").map(Number);
const itemCount = Number(values.items ?? (reduced ? 60 : 200));
const contexts = Number(values.contexts ?? (reduced ? 1 : 2));

/** All contexts of a length, one after the other through the corpus. */
function contextsOf(length: number, tokenizer: Tokenizer): Context[] {
  const sizes = new Map<SourceFile, number>();
  const sizeOf = (file: SourceFile): number => {
    const size = sizes.get(file) ?? fileTokens(tokenizer, file).length + 8;
    sizes.set(file, size);
    return size;
  };
  const all = corpus();
  let next = 0;
  return Array.from({ length: contexts }, (_, index) => {
    const taken = contextOf(all, next, length, sizeOf);
    next = taken.next;
    return { index, length, files: taken.files, items: makeItems(taken.files, Math.ceil(itemCount / contexts)) };
  });
}

async function openBench(name: string): Promise<Bench & { kind: string; gpu: string | undefined }> {
  const { addon, kind, gpu } = await chooseBackend(values.backend as BackendWish);
  const path = await fetchedModel(name);
  const file = await readGguf(path);
  const tokenizer = new Tokenizer(file.tokenizer);
  const chat = await readChatTemplate({ tokenizer, template: file.chatTemplate, system: systemPrompt });
  const native = await addon.openModel({
    path,
    geometry: file.geometry,
    tensors: file.tensors,
    threads: Number(values.threads),
    cpu: "auto",
  });
  return { addon, native, file, tokenizer, chat, kind, gpu };
}

async function measure(name: string, length: number): Promise<Measured> {
  const bench = await openBench(name);
  const heading = {
    model: name,
    tokens: length,
    backend: bench.native.info.backend,
    made: { ...provenance(), ...(bench.gpu === undefined ? {} : { gpu: bench.gpu }) },
  };
  const outcomes: Outcome[] = [];
  const { out } = values;
  if (out !== undefined) writeFileSync(out, `${JSON.stringify(heading)}\n`);
  const done = (outcome: Outcome): void => {
    outcomes.push(outcome);
    if (out !== undefined) appendFileSync(out, `${JSON.stringify(outcome)}\n`); // as they come: a run may be cut off
  };
  for (const context of contextsOf(length, bench.tokenizer)) {
    if (values.context !== undefined && Number(values.context) !== context.index) continue;
    const say = (line: string): void => void process.stderr.write(`${name} ${length}, ${context.index}: ${line}\n`);
    await measureContext(bench, context, { reduced, mass: bench.kind === "cpu" }, { say, done });
  }
  bench.native.dispose();
  return { heading, outcomes };
}

function report(measured: readonly Measured[]): void {
  const rows = rowsOf(measured);
  for (const row of rows) printRow(row, values.json);
  if (values.out === undefined) writeRows("quality", rows);
}

if (values.rows !== undefined) report(readMeasured(values.rows));
else {
  const measured: Measured[] = [];
  for (const name of models)
    for (const length of lengths) {
      measured.push(await measure(name, length));
      report(measured); // what is done stays if a later length is stopped
    }
}
