// page-trace.ts — how much of what a step loads was loaded lately: the pages that a real model chooses, and what a page cache makes of them.
//
//   npm run bench -- page-trace [--model qwen2.5-coder-0.5b] [--context 16384] [--budget 1024] [--steps 192] [--trace FILE] [--json]
//
// The CPU backend reads source and goes on greedily; the pages that select chose, in every layer and KV head of every step, are kept
// (native/page_trace.cpp). They are replayed through the cache of KV beyond GPU memory (native/cuda/page_tier.cu: second chance)
// with frames for a share of each list's pages. `--trace` takes a trace made elsewhere. Rows go to results/page-trace.json.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildTools } from "../../scripts/build-tools.mjs";
import { build, native, root } from "../../scripts/layout.mjs";
import { findBuildTools } from "../../scripts/prerequisites.mjs";
import { fetchedModel } from "../models/fetched-model.ts";
import { printRow, provenance, type Row, writeRows } from "./results-file.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "qwen2.5-coder-0.5b" },
    context: { type: "string", default: "16384" },
    budget: { type: "string", default: "1024" },
    steps: { type: "string", default: "192" },
    trace: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

/** Chosen pages of every list: [list][step] ascending indices. */
interface Trace {
  pages: number;
  steps: number;
  lists: Int32Array[][];
}

async function record(): Promise<string> {
  const { cmake, ninja, compiler, env } = await buildTools(await findBuildTools());
  const tree = join(build, "bench");
  const settings = ["-DQUIRE_BENCH=ON", `-DCMAKE_MAKE_PROGRAM=${ninja}`, `-DCMAKE_CXX_COMPILER=${compiler}`];
  const run = (program: string, args: string[]): string =>
    execFileSync(program, args, {
      cwd: root,
      env,
      encoding: "utf8",
      maxBuffer: 64 << 20,
      stdio: ["ignore", "pipe", 2],
    });
  run(cmake, ["-S", native, "-B", tree, "-G", "Ninja", ...settings]);
  run(cmake, ["--build", tree, "--target", "bench_page_trace"]);
  const model = await fetchedModel(values.model);
  const table = join(tree, "table.txt");
  const source = join(root, "test", "bench", "native", "gguf-table.ts");
  writeFileSync(table, run(process.execPath, ["--import", "tsx", source, model, values.context]));
  const file = join(tree, "trace.bin");
  run(join(tree, "bench_page_trace"), [model, table, values.context, values.budget, values.steps, file]);
  return file;
}

function readTrace(file: string): Trace {
  const bytes = readFileSync(file);
  const all = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const [layers = 0, heads = 0, kept = 0, steps = 0, pages = 0] = all;
  const count = layers * heads;
  const lists = Array.from({ length: count }, (_, list) =>
    Array.from({ length: steps }, (_, step) => {
      const begin = 5 + (step * count + list) * kept;
      return all.subarray(begin, begin + kept).filter((page) => page >= 0);
    }),
  );
  return { pages, steps, lists };
}

/** Pages fetched for one list by a cache of `frames`, which evicts as page_tier.cu does; the page being filled always is. */
function fetchedBy(steps: readonly Int32Array[], frames: number): number {
  const owner = new Int32Array(frames).fill(-1);
  const second = new Uint8Array(frames);
  const stamp = new Int32Array(frames).fill(-1);
  const frameOf = new Map<number, number>();
  let hand = 0;
  let fetched = 0;
  for (const [now, chosen] of steps.entries()) {
    const missing: number[] = [];
    for (const page of chosen) {
      const frame = frameOf.get(page);
      if (frame === undefined) {
        missing.push(page);
        continue;
      }
      stamp[frame] = now;
      second[frame] = 1;
      if (page === chosen.at(-1)) fetched++;
    }
    for (const page of missing) {
      while (stamp[hand] === now || second[hand] === 1) {
        if (stamp[hand] !== now) second[hand] = 0;
        hand = (hand + 1) % frames;
      }
      frameOf.delete(owner[hand] ?? -1);
      owner[hand] = page;
      frameOf.set(page, hand);
      stamp[hand] = now;
      hand = (hand + 1) % frames;
      fetched++;
    }
  }
  return fetched;
}

/** Share of each step's pages that the step before had too. */
function sameAsBefore(trace: Trace): number {
  let same = 0;
  let asked = 0;
  for (const steps of trace.lists) {
    for (const [step, chosen] of steps.entries()) {
      if (step === 0) continue;
      const before = new Set(steps[step - 1]);
      for (const page of chosen) same += before.has(page) ? 1 : 0;
      asked += chosen.length;
    }
  }
  return same / asked;
}

function rowsOf(trace: Trace): Row[] {
  const asked = trace.lists.flat().reduce((sum, chosen) => sum + chosen.length, 0);
  const largest = Math.max(...trace.lists.flat().map((chosen) => chosen.length));
  const shares = [0.1, 0.15, 0.22, 0.35, 0.5, 1];
  const { model, context, budget } = values;
  const common = {
    bench: "page-trace",
    model,
    context: Number(context),
    pageBudget: Number(budget),
    steps: trace.steps,
  };
  return shares
    .map((share) => ({ share, frames: Math.round(trace.pages * share) }))
    .filter(({ frames }) => frames >= largest)
    .map(({ share, frames }) => {
      const fetched = trace.lists.reduce((sum, steps) => sum + fetchedBy(steps, frames), 0);
      return {
        ...common,
        sameAsStepBefore: Number(sameAsBefore(trace).toFixed(4)),
        cacheShare: share,
        frames,
        hitRate: Number((1 - fetched / asked).toFixed(4)),
        fetchedPerStepAndList: Number((fetched / trace.steps / trace.lists.length).toFixed(2)),
      };
    });
}

mkdirSync(join(build, "bench"), { recursive: true });
const trace = readTrace(values.trace ?? (await record()));
const made = provenance();
const rows = rowsOf(trace).map((row) => ({ ...row, ...made }));
for (const row of rows) printRow(row, values.json);
writeRows("page-trace", rows);
