// rows.ts — what the answers bench reports: a row for each question, and sums of them by model, set and kind. Pure.

import type { Kind } from "./questions.ts";

export interface Circumstances {
  command: string;
  /** Of the checkout when asked; " with changes" where engine/ or native/ had some. */
  commit: string;
  machine: string;
  date: string;
}

export interface Side {
  right: boolean;
  why: string;
  answer: string;
}

export interface QuestionRow extends Circumstances {
  bench: "answers";
  row: "question";
  model: string;
  set: "small" | "large";
  repository: string;
  kind: Kind;
  id: string;
  question: string;
  quire: Side & {
    preface: string;
    citationsVerified: number;
    citationsRightPlace: number;
    citationFaults: string[];
    promptTokens: number;
    prefilledTokens: number;
    prefillSeconds: number;
    timeToFirstTokenMs: number;
    lookedUp: string[];
  };
  /** null: not asked. */
  peer: (Side & { cached: boolean; promptTokens: number }) | null;
}

export interface SummaryRow extends Circumstances {
  bench: "answers";
  row: "summary";
  model: string;
  set: "small" | "large";
  /** A kind, "there" for all but "missing", or "all". */
  kind: Kind | "there" | "all";
  right: number;
  total: number;
  peerRight: number | null;
  citationsVerified: number;
  citationsRightPlace: number;
  /** Of the questions about what is not there; null where there are none. */
  notThereRight: number | null;
}

export function summarize(rows: readonly QuestionRow[]): SummaryRow[] {
  const summaries: SummaryRow[] = [];
  for (const model of new Set(rows.map((row) => row.model))) {
    for (const set of ["small", "large"] as const) {
      const some = rows.filter((row) => row.model === model && row.set === set);
      const kinds = [...new Set(some.map((row) => row.kind))];
      const groups: [SummaryRow["kind"], QuestionRow[]][] = [
        ...kinds.map((kind): [Kind, QuestionRow[]] => [kind, some.filter((row) => row.kind === kind)]),
        ["there", some.filter((row) => row.kind !== "missing")],
        ["all", some],
      ];
      for (const [kind, of] of groups) if (of.length > 0) summaries.push(summary(model, set, kind, of));
    }
  }
  return summaries;
}

function summary(
  model: string,
  set: SummaryRow["set"],
  kind: SummaryRow["kind"],
  rows: readonly QuestionRow[],
): SummaryRow {
  const add = (value: (row: QuestionRow) => number): number => rows.reduce((sum, row) => sum + value(row), 0);
  const missing = rows.filter((row) => row.kind === "missing");
  return {
    bench: "answers",
    row: "summary",
    model,
    set,
    kind,
    right: rows.filter((row) => row.quire.right).length,
    total: rows.length,
    peerRight: rows.some((row) => row.peer === null) ? null : rows.filter((row) => row.peer?.right === true).length,
    citationsVerified: add((row) => row.quire.citationsVerified),
    citationsRightPlace: add((row) => row.quire.citationsRightPlace),
    command: distinct(rows.map((row) => row.command)),
    commit: distinct(rows.map((row) => row.commit)),
    machine: distinct(rows.map((row) => row.machine)),
    date: distinct(rows.map((row) => row.date)),
    notThereRight: missing.length === 0 ? null : missing.filter((row) => row.quire.right).length,
  };
}

/** A set may have been asked in several runs. */
function distinct(values: readonly string[]): string {
  return [...new Set(values)].join("; ");
}

/** One line for people. */
export function sentence(row: SummaryRow): string {
  const peer = row.peerRight === null ? "-" : `${row.peerRight}/${row.total}`;
  const places = row.citationsVerified === 0 ? "" : `, citations ${row.citationsRightPlace}/${row.citationsVerified}`;
  return `${row.model} ${row.set} ${row.kind.padEnd(8)} quire ${row.right}/${row.total}, llama.cpp ${peer}${places}`;
}
