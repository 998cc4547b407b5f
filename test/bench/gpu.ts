// gpu.ts — attention, decode and prefill on the GPU: beside PyTorch's dense attention on the same card, and llama.cpp's figures.
//
//   npm run bench -- gpu [attention] [decode] [matmul] [--quick] [--json]      builds the programs and runs them here
//   npm run bench -- gpu --rows FOLDER                                         takes what cuda_bench.sh wrote elsewhere
//
// The measuring part is native/cuda_bench.sh: it runs without Node where the GPU is. This part adds the peer's figures and puts
// the rows into results/gpu.json; rows of a part that was not run stay as they were.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { barOf, peerSpeed } from "./gpu-peer.ts";
import { printRow, provenance, type Row, readRows, writeRows } from "./results-file.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rows: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): void {
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ["ignore", 2, 2] });
  if (error !== undefined || status !== 0) throw error ?? new Error(`${command} ended with status ${status}.`);
}

function measureHere(folder: string): void {
  run(process.execPath, ["scripts/build-cuda.mjs", "--bench"]);
  const env = {
    ...process.env,
    QUIRE_COMMIT: String(provenance().commit),
    ...(values.quick ? { QUIRE_QUICK: "1" } : {}),
  };
  run("test/bench/native/cuda_bench.sh", ["build/cuda/kernels/cuda", folder, ...positionals], env);
}

function rowsOf(folder: string): Row[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), "utf8").trim().split("\n"))
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Row);
}

function withPeer(row: Row): Row {
  const peer = peerSpeed(String(row.shape), String(row.what), Number(row.context));
  const held = peer === undefined ? {} : { peer, ratio: Number((Number(row.quire) / peer).toFixed(3)) };
  return { ...row, ...held, ...barOf(row) };
}

const folder = values.rows ?? mkdtempSync(join(tmpdir(), "quire-gpu-"));
try {
  if (values.rows === undefined) measureHere(folder);
  const rows = rowsOf(folder).map(withPeer);
  for (const row of rows) printRow(row, values.json);
  const measured = new Set(rows.map((row) => row.what));
  writeRows("gpu", [...readRows("gpu").filter((row) => !measured.has(row.what)), ...rows]);
} finally {
  if (values.rows === undefined) rmSync(folder, { recursive: true });
}
