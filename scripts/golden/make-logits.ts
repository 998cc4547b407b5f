// make-logits.ts — writes test/golden/<model>.logits.json: llama.cpp's most probable next tokens after each of the first 512
// tokens of test/golden/source.txt, teacher-forced, with their natural-log probabilities.
//
//   QUIRE_MODELS=<folder of .gguf files> npx tsx scripts/golden/make-logits.ts
//
// One batch of 512 tokens, flash attention, f16 KV, the CPU binary as shipped. The sum over the vocabulary is taken in double
// precision from all logits. test/golden/compare-logits.ts says how the file is read. Some minutes for both models.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ensurePeer, peerVersion } from "../../test/bench/peer/ensure-peer.ts";
import { Peer } from "../../test/bench/peer/peer-client.ts";
import { findModel, goldenModels } from "../../test/golden/golden-models.ts";

const folder = fileURLToPath(new URL("../../test/golden/", import.meta.url));
const positions = 512;
const top = 32;
const threads = 2;
const rounded = (value: number): number => Math.round(value * 10_000) / 10_000;

const text = readFileSync(`${folder}source.txt`, "utf8");
for (const model of goldenModels) {
  const path = findModel(model);
  if (path === null) throw new Error(`${model.files[0]} is not in QUIRE_MODELS.`);
  const peer = new Peer(await ensurePeer());
  await peer.open({ path, contextSize: positions, threads, batchSize: positions });
  const tokens = (await peer.tokenize(text)).slice(0, positions);
  if (tokens.length < positions) throw new Error(`source.txt has only ${tokens.length} tokens.`);
  const rows = await peer.logits(tokens, top);
  const libraries = await peer.libraries();
  await peer.dispose();
  const lines = rows.map((row) => `    ${JSON.stringify({ ids: row.ids, logProbabilities: row.logProbabilities.map(rounded) })}`);
  const head = `{\n  "madeBy": "scripts/golden/make-logits.ts, node-llama-cpp ${peerVersion}",\n  "libraries": ${JSON.stringify(libraries)},\n`;
  writeFileSync(`${folder}${model.name}.logits.json`, `${head}  "tokens": ${JSON.stringify(tokens)},\n  "rows": [\n${lines.join(",\n")}\n  ]\n}\n`);
  process.stderr.write(`${model.name}: ${rows.length} positions\n`);
}
