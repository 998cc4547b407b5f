// cpu.ts — prefill and decode on the CPU, side by side with llama.cpp: same file, threads, lengths, f16 KV, flash attention.
//
//   npm run bench -- cpu [--models a,b] [--tokens 512,4096,…] [--passes 3] [--threads 2] [--reading 2048] [--no-shares] [--json]
//
// Real source is read once to the longest length, with a stop at each: tokens/s of reading that far (dense, and sparsely with a
// reading budget), and of 32 forced steps there (dense, and with page selection at the default budget); likewise llama.cpp. Passes
// are interleaved, medians are taken (0.5B: 3, larger ones: 1). The other engine is idle while one is timed. Where CMake builds
// native/cpu_shares.cpp, rows of the machine's ceilings, each op's share and the bytes per token follow. Rows: results/cpu.json.

import { parseArgs } from "node:util";
import { readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import type { Memory, Model, Selection } from "../../native/index.d.ts";
import { dense, options } from "../engine/generate-options.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { cpuShares } from "./cpu-shares.ts";
import { ensurePeer, peerVersion } from "./peer/ensure-peer.ts";
import { Peer } from "./peer/peer-client.ts";
import { median, printRow, provenance, type Row, readRows, writeRows } from "./results-file.ts";
import { sourceTokens } from "./source-text.ts";

const { values } = parseArgs({
  options: {
    models: { type: "string", default: "qwen2.5-coder-0.5b,qwen2.5-coder-1.5b" },
    tokens: { type: "string", default: "512,4096,8192,16384,30000" },
    passes: { type: "string" },
    threads: { type: "string", default: "0" },
    reading: { type: "string", default: "2048" },
    "no-shares": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

const lengths = values.tokens
  .split(",")
  .map(Number)
  .sort((a, b) => a - b);
const longest = lengths.at(-1) ?? 0;
const threads = Number(values.threads) || native().machine().cores;
const steps = 32;
const chunk = 512;
const selection: Selection = { ...dense, pageBudget: 1024 };
const reading: Selection = { ...dense, pageBudget: Number(values.reading) };

interface Timings {
  prefill: number[];
  sparsePrefill: number[];
  dense: number[];
  sparse: number[];
  peerPrefill: number[];
  peerDecode: number[];
}

/** Reads to each length in turn; `at` is called there with the seconds of reading so far. */
async function readThrough(
  model: Model,
  text: Int32Array,
  how: Selection,
  at: (memory: Memory, length: number, seconds: number) => Promise<void>,
): Promise<void> {
  const rope = { factor: 1, originalContext: 0 };
  const memory = new (native().Memory)(model, { pages: ((longest + steps) >> 4) + 8, summary: "mean-spread", rope });
  let [seconds, from] = [0, 0];
  for (const length of lengths) {
    const began = performance.now();
    while (from < length) {
      const until = Math.min(length, from + chunk);
      await memory.append(text.slice(from, until), from === 0 ? Int32Array.of(0) : new Int32Array(0), how);
      from = until;
    }
    seconds += (performance.now() - began) / 1000;
    await at(memory, length, seconds);
  }
  memory.dispose();
}

async function run(name: string): Promise<Row[]> {
  const path = await fetchedModel(name);
  const { geometry, tensors, tokenizer } = await readGguf(path);
  const passes = Number(values.passes ?? (name.includes("0.5b") ? 3 : 1));
  const model = await native().openModel({ path, geometry, tensors, threads, cpu: "auto" });
  const text = sourceTokens(tokenizer, longest + steps);
  const peer = new Peer(await ensurePeer());
  const opened = await peer.open({ path, contextSize: longest + 64, threads, batchSize: chunk });
  const libraries = await peer.libraries();

  const timings = new Map<number, Timings>(
    lengths.map((length) => [
      length,
      { prefill: [], sparsePrefill: [], dense: [], sparse: [], peerPrefill: [], peerDecode: [] },
    ]),
  );
  const say = (pass: number, what: string): void =>
    void process.stderr.write(`${name}, pass ${pass + 1} of ${passes}: ${what}\n`);
  for (let pass = 0; pass < passes; pass++) {
    await readThrough(model, text, dense, async (memory, length, seconds) => {
      const into = timings.get(length);
      into?.prefill.push(length / seconds);
      const forced = text.slice(length, length + steps);
      const decode = async (chosen: Selection): Promise<number> => {
        const result = await memory.generate(options({ maxTokens: steps, selection: chosen, forced }), () => {});
        memory.truncate(1, length - 1);
        await memory.append(text.slice(length - 1, length), new Int32Array(0));
        return result.tokens.length / result.seconds;
      };
      into?.dense.push(await decode(dense));
      into?.sparse.push(await decode(selection));
      say(pass, `${length} tokens read in ${seconds.toFixed(1)} s`);
    });
    await readThrough(model, text, reading, async (_, length, seconds) => {
      timings.get(length)?.sparsePrefill.push(length / seconds);
      say(pass, `${length} tokens read sparsely in ${seconds.toFixed(1)} s`);
    });
    const theirs = await peer.readAndStep({ tokens: [...text], lengths, steps });
    for (const [i, { readSeconds, decodeSeconds }] of theirs.entries()) {
      const length = lengths[i] ?? 0;
      timings.get(length)?.peerPrefill.push(length / readSeconds);
      timings.get(length)?.peerDecode.push(steps / decodeSeconds);
      say(pass, `${length} tokens read by llama.cpp in ${readSeconds.toFixed(1)} s`);
    }
  }
  await peer.dispose();
  const { backend } = model.info;
  model.dispose();

  const { pageBudget } = selection;
  const how = { pageBudget, readingBudget: reading.pageBudget, summary: "mean-spread", vote: selection.vote };
  const about = { threads, backend, ...how, denseLayers: selection.denseLayers, steps, passes };
  const peerAbout = { peerVersion, libraries, flashAttention: opened.flashAttention, kv: opened.kv };
  const rows = [...timings].flatMap(([tokens, t]) => {
    const row = (what: string, mode: string, ours: number[], theirs: number[]): Row => {
      const [quire, other] = [median(ours), median(theirs)];
      const measured = { quire, peer: other, ratio: quire / other };
      return { bench: "cpu", model: name, what, tokens, mode, ...measured, ...about, ...peerAbout };
    };
    return [
      row("prefill", "dense", t.prefill, t.peerPrefill),
      row("prefill", "sparse", t.sparsePrefill, t.peerPrefill),
      row("decode", "dense", t.dense, t.peerDecode),
      row("decode", "sparse", t.sparse, t.peerDecode),
    ];
  });
  if (values["no-shares"]) return rows;
  const shares = await cpuShares(path, { lengths, threads, pageBudget, readingBudget: reading.pageBudget });
  return [...rows, ...shares.map((row): Row => ({ bench: "cpu shares", model: name, ...row }))];
}

const made = provenance();
const models = values.models.split(",");
const rows: Row[] = readRows("cpu").filter(({ model }) => !models.includes(String(model))); // of the other models
for (const name of models) {
  for (const row of await run(name)) {
    rows.push({ ...row, ...made });
    printRow(rows.at(-1) ?? row, values.json);
  }
  writeRows("cpu", rows); // what is done stays if a later model is stopped
}
