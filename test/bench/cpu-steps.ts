// cpu-steps.ts — what a decode step costs by length, densely and with selection: native/cpu_steps.cpp, as rows with their limits.
//
//   npm run bench -- cpu-steps [--model qwen2.5-coder-0.5b] [--tokens 512,1088,…] [--threads 2] [--json]
//
// Limits (issue 5, point 3): the default step never takes longer than the dense one (3 % are noise), selection is under 10 % of a
// step that selects, and the longest length is at least 0.75 × as fast as the first. Rows: results/cpu-steps.json.

import { parseArgs } from "node:util";
import { native } from "../../engine/native.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { nativeRows } from "./native-rows.ts";
import { printRow, provenance, type Row, writeRows } from "./results-file.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "qwen2.5-coder-0.5b" },
    tokens: { type: "string", default: "64,512,1088,1216,1408,1600,1792,2048,2112,2304,2560,4096,8192,16384,29952" },
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
  },
});

const noise = 1.03;
const threads = Number(values.threads) || native().machine().cores;
const longest = Number(values.tokens.split(",").at(-1));
const made = provenance();
const measured = await nativeRows("bench_cpu_steps", await fetchedModel(values.model), longest + 64, [
  `threads=${threads}`,
  `lengths=${values.tokens}`,
]);
const rows = measured.map((row): Row => {
  const selects = row.tokens !== undefined && Number(row.tokens) > 2048;
  const within =
    Number(row.ofDense) <= noise && (!selects || Number(row.selection) < 0.1) && Number(row.ofFirst) >= 0.75;
  if (!within) process.exitCode = 1;
  return { bench: "cpu-steps", model: values.model, ...row, within, threads, pageBudget: 1024, ...made };
});
for (const row of rows) printRow(row, values.json);
writeRows("cpu-steps", rows);
