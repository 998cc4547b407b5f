// gpu-table.ts — results/gpu.json as tables for the README and docs/selection-cuda.md: bars beside what was measured.

import { type Row, readRows } from "./results-file.ts";

const rounded = (value: unknown, digits: number): string => (typeof value === "number" ? value.toFixed(digits) : "");
const times = (value: unknown): string => (typeof value === "number" ? `${value.toFixed(2)}×` : "");
const bar = (row: Row): string =>
  [typeof row.must === "number" ? `≥ ${row.must}×` : "", typeof row.goal === "number" ? `goal ${row.goal}×` : ""]
    .filter(Boolean)
    .join(", ");
const thousands = (value: unknown): string =>
  Number(value) >= 1 << 20 ? "1M" : Number(value) >= 1024 ? `${Number(value) / 1024}k` : String(value);

function table(head: string[], cells: string[][]): string {
  return [head, head.map(() => "---"), ...cells].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

const madeBy = (row: Row | undefined): string =>
  row === undefined ? "" : `\`${row.command}\` at ${row.commit}, ${row.gpu}, ${String(row.date).slice(0, 10)}.`;

function attention(): string {
  const rows = readRows("gpu").filter((row) => row.what === "attention");
  if (rows.length === 0) return "";
  const cells = rows.map((row) => [
    `${row.heads}/${row.kvHeads}, ${row.headSize}`,
    thousands(row.context),
    rounded(row.us, 1),
    rounded(row.denseUs, 1),
    times(row.speedup),
    bar(row),
    `${rounded(100 * Number(row.bytesShare), 0)} %`,
    rounded(row.threeKernelsUs, 1),
  ]);
  const head = [
    "query/KV heads, size",
    "context",
    "µs",
    "dense, µs",
    "faster",
    "wanted",
    "of the bytes' limit",
    "as three kernels, µs",
  ];
  return `**Attention of one token in one layer on a GPU**, scoring and selection included, page budget 2 048, beside PyTorch's fastest dense attention in a CUDA graph. ${madeBy(rows[0])}\n\n${table(head, cells)}`;
}

function endToEnd(): string {
  const rows = readRows("gpu").filter(
    (row) => (row.what === "decode" || row.what === "prefill") && row.peer !== undefined,
  );
  if (rows.length === 0) return "";
  const cells = rows.map((row) => [
    String(row.shape),
    row.what === "prefill" ? `prefill, ${row.attention}` : "decode",
    thousands(row.context),
    rounded(row.quire, 0),
    rounded(row.peer, 0),
    times(row.ratio),
    bar(row),
  ]);
  const head = ["shape", "", "context", "Quire, tokens/s", "llama.cpp, tokens/s", "ratio", "wanted"];
  return `**Decode and prefill on a GPU**, random weights of the shapes, page budget 2 048; llama.cpp as measured once on an H200. ${madeBy(rows[0])}\n\n${table(head, cells)}`;
}

/** The GPU's tables as Markdown; empty where nothing was measured. */
export function gpuTables(): string {
  return [attention(), endToEnd()].filter((section) => section !== "").join("\n\n");
}
