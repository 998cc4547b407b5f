// cpu.ts — prefill and decode on the CPU, side by side with llama.cpp: same file, threads, lengths, f16 KV, flash attention.
//
//   npm run bench -- cpu [--models a,b] [--tokens 512,4096] [--passes 3] [--threads 2] [--json]
//
// Prefill: tokens/s of reading the first n tokens of real source. Decode: tokens/s of 32 forced steps after n tokens, with dense
// attention and with page selection at the default budget. Passes are interleaved, medians are taken. The other engine is idle
// while one is timed. Rows go to results/cpu.json.

import { parseArgs } from "node:util";
import { readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import type { Selection } from "../../native/index.d.ts";
import { dense } from "../engine/generate-options.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { ensurePeer, peerVersion } from "./peer/ensure-peer.ts";
import { Peer } from "./peer/peer-client.ts";
import { median, printRow, provenance, type Row, writeRows } from "./results-file.ts";
import { sourceTokens } from "./source-text.ts";

const { values } = parseArgs({
  options: {
    models: { type: "string", default: "qwen2.5-coder-0.5b,qwen2.5-coder-1.5b" },
    tokens: { type: "string", default: "512,4096" },
    passes: { type: "string", default: "3" },
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
  },
});

const lengths = values.tokens
  .split(",")
  .map(Number)
  .sort((a, b) => a - b);
const passes = Number(values.passes);
const threads = Number(values.threads) || native().machine().cores;
const steps = 32;
const chunk = 512;
const pageBudget = 1024;
const selection: Selection = { ...dense, pageBudget };

interface Timings {
  prefill: number[];
  dense: number[];
  sparse: number[];
  peerPrefill: number[];
  peerDecode: number[];
}

async function run(name: string): Promise<Row[]> {
  const path = await fetchedModel(name);
  const { geometry, tensors, tokenizer } = await readGguf(path);
  const model = await native().openModel({ path, geometry, tensors, threads, cpu: "auto" });
  const longest = (lengths.at(-1) ?? 0) + steps;
  const text = sourceTokens(tokenizer, longest);
  const peer = new Peer(await ensurePeer());
  const opened = await peer.open({ path, contextSize: longest + 64, threads, batchSize: chunk });
  const libraries = await peer.libraries();

  const timings = new Map<number, Timings>(
    lengths.map((length) => [length, { prefill: [], dense: [], sparse: [], peerPrefill: [], peerDecode: [] }]),
  );
  for (let pass = 0; pass < passes; pass++) {
    for (const [length, into] of timings) {
      const rope = { factor: 1, originalContext: 0 };
      const memory = new (native().Memory)(model, { pages: (longest >> 4) + 8, summary: "mean-spread", rope });
      const began = performance.now();
      for (let from = 0; from < length; from += chunk) {
        await memory.append(
          text.slice(from, Math.min(length, from + chunk)),
          from === 0 ? Int32Array.of(0) : new Int32Array(0),
        );
      }
      into.prefill.push((1000 * length) / (performance.now() - began));
      const forced = text.slice(length, length + steps);
      const decode = async (chosen: Selection): Promise<number> => {
        const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, seed: 0 };
        const options = { maxTokens: steps, sampling, selection: chosen, stopTokens: [], pageMass: false };
        const { seconds, tokens } = await memory.generate({ ...options, forced }, () => {});
        memory.truncate(1, length - 1);
        await memory.append(text.slice(length - 1, length), new Int32Array(0));
        return tokens.length / seconds;
      };
      into.dense.push(await decode({ ...selection, pageBudget: 0 }));
      into.sparse.push(await decode(selection));
      memory.dispose();

      into.peerPrefill.push(length / (await peer.prefill([], [...text.slice(0, length)])));
      const seconds = await peer.decode([...text.slice(0, length)], [...forced]);
      into.peerDecode.push(steps / seconds.reduce((sum, step) => sum + step, 0));
      process.stderr.write(`${name} ${length} tokens, pass ${pass + 1} of ${passes}\n`);
    }
  }
  await peer.dispose();
  const { backend } = model.info;
  model.dispose();

  const about = {
    threads,
    backend,
    pageBudget,
    summary: "mean-spread",
    vote: selection.vote,
    denseLayers: 0,
    steps,
    passes,
  };
  const peerAbout = { peerVersion, libraries, flashAttention: opened.flashAttention, kv: opened.kv };
  return [...timings].flatMap(([tokens, t]) => {
    const row = (what: string, mode: string, ours: number[], theirs: number[]): Row => {
      const [quire, other] = [median(ours), median(theirs)];
      return {
        bench: "cpu",
        model: name,
        what,
        tokens,
        mode,
        quire,
        peer: other,
        ratio: quire / other,
        ...about,
        ...peerAbout,
      };
    };
    return [
      row("prefill", "dense", t.prefill, t.peerPrefill),
      row("decode", "dense", t.dense, t.peerDecode),
      row("decode", "sparse", t.sparse, t.peerDecode),
    ];
  });
}

const made = provenance();
const rows: Row[] = [];
for (const name of values.models.split(",")) {
  for (const row of await run(name)) {
    rows.push({ ...row, ...made });
    printRow(rows.at(-1) ?? row, values.json);
  }
}
writeRows("cpu", rows);
