// tables.ts — every committed row of the result files as Markdown tables, for docs/numbers.md.
//
// Rounds, never edits: a figure that is not in test/bench/results is not in a table.

import { gpuTables } from "./gpu-table.ts";
import { type Row, readRows } from "./results-file.ts";

const text = (value: unknown): string => (value === undefined || value === null ? "" : String(value));
const rounded = (value: unknown, digits: number): string => (typeof value === "number" ? value.toFixed(digits) : "");

function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function madeBy(row: Row | undefined): string {
  if (row === undefined) return "";
  const machine = [text(row.cpu), row.cores === undefined ? "" : `${text(row.cores)} cores`].filter(Boolean).join(", ");
  return `\`${text(row.command)}\` at ${text(row.commit)}, ${machine || text(row.machine)}, ${text(row.date).slice(0, 10)}.`;
}

function cpu(): string {
  const rows = readRows("cpu").filter((row) => row.bench === "cpu");
  if (rows.length === 0) return "";
  const cells = rows.map((row) => [
    text(row.model),
    text(row.what),
    text(row.tokens),
    text(row.mode),
    rounded(row.quire, 1),
    rounded(row.peer, 1),
    `${rounded(row.ratio, 2)}×`,
  ]);
  const head = ["model", "", "after tokens", "attention", "Quire, tokens/s", "llama.cpp, tokens/s", "ratio"];
  const load = Array.isArray(rows[0]?.load) ? Number(rows[0].load[0]) : 0;
  const busy =
    load > 1.5 * Number(rows[0]?.cores)
      ? ` Other work ran beside it (load ${load.toFixed(0)}), not equally in all passes: both engines are faster on an idle machine, and the ratios are rough.`
      : "";
  return `**Speed, beside llama.cpp in one run** (same file, threads, f16 KV; llama.cpp with flash attention). ${madeBy(rows[0])}${busy}\n\n${table(head, cells)}`;
}

function selection(): string {
  const rows = readRows("selection");
  if (rows.length === 0) return "";
  const cells = rows.map((row) => [
    text(row.summary),
    text(row.vote),
    text(row.pageBudget),
    rounded(row.kl, 4),
    rounded(row.capturedMass, 3),
    `${rounded((100 * Number(row.pagesAttended)) / Number(row.pagesTotal), 0)} %`,
  ]);
  const head = [
    "summary",
    "vote",
    "page budget",
    "KL to dense, nats",
    "captured mass",
    "head's pages loaded, of dense",
  ];
  const first = rows[0];
  return `**Selection against dense attention**, ${text(first?.model)}, ${text(first?.tokens)} tokens of source. ${madeBy(first)}\n\n${table(head, cells)}`;
}

function quality(): string {
  const rows = readRows("quality");
  if (rows.length === 0) return "";
  const cells = rows.map((row) => [
    text(row.tokens),
    row.reading === "dense" ? "dense" : `sparse, ${text(row.readingBudget)}`,
    row.decode === "dense" ? "dense" : text(row.pageBudget),
    [row.summary, row.vote, row.denseLayers === 0 ? "" : `${text(row.denseLayers)} dense layers`]
      .filter((part) => part !== "")
      .join(", "),
    `${text(row.right)} of ${text(row.items)}`,
    `+${text(row.gained)} −${text(row.lost)}`,
    rounded(row.loss, 3),
    rounded(row.kl, 4),
    rounded(row.capturedMass, 3),
  ]);
  const head = ["tokens", "reading", "page budget", "selection", "right", "against dense", "loss", "KL, nats", "mass"];
  return `**Quality gate**, ${text(rows[0]?.model)} ([what was found](selection.md)). ${madeBy(rows[0])}\n\n${table(head, cells)}`;
}

function answers(): string {
  const rows = readRows("answers").filter((row) => row.row === "summary");
  if (rows.length === 0) return "";
  const cells = rows.map((row) => [
    text(row.model),
    text(row.set),
    text(row.kind),
    `${text(row.right)} of ${text(row.total)}`,
    typeof row.peerRight === "number" ? `${row.peerRight} of ${text(row.total)}` : "not asked",
    `${text(row.citationsRightPlace)} of ${text(row.citationsVerified)}`,
  ]);
  const head = [
    "model",
    "repositories",
    "kind of question",
    "Quire right",
    "llama.cpp right",
    "verified citations at the right place",
  ];
  return `**Answers** to keyed questions about real repositories ([how](answers.md)). ${madeBy(rows[0])}\n\n${table(head, cells)}`;
}

function sizes(): string {
  const rows = readRows("sizes");
  if (rows.length === 0) return "";
  const cells = rows.map((row) => [
    text(row.what),
    rounded(row.value ?? row.seconds, 2),
    text(row.unit),
    text(row.limit),
  ]);
  return `**Sizes.** ${madeBy(rows[0])}\n\n${table(["what", "measured", "unit", "limit"], cells)}`;
}

/** One section a bench; benches without rows are left out. */
export function sections(): string[] {
  return [cpu(), gpuTables(), selection(), quality(), answers(), sizes()].filter((section) => section !== "");
}
