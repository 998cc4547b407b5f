// ways.ts — the ways of reading and of attending that the quality gate compares. The first of them is dense, what all are held to.
//
// Not the full product: every page budget with the usual summary and vote after dense reading, then one thing changed at a time.

import type { Selection } from "../../../native/index.d.ts";
import { dense } from "../../engine/generate-options.ts";

export interface Way {
  selection: Selection;
}

export interface Reading {
  /** 0: densely. */
  readingBudget: number;
  summary: "mean-spread" | "min-max";
}

/** Tokens from which larger budgets are tried too, and beyond which only budgets and sparse readings are. */
const long = 16_000;
const stretched = 32_768;

/** How a context is read. */
export function readingsOf(length: number, reduced: boolean): Reading[] {
  const sparse = (reduced ? [2048] : length > stretched ? [2048, 4096] : [1024, 2048, 4096]).filter(
    (budget) => budget < length,
  );
  return [
    { readingBudget: 0, summary: "mean-spread" },
    ...sparse.map((readingBudget): Reading => ({ readingBudget, summary: "mean-spread" })),
    ...(reduced || length > stretched ? [] : [{ readingBudget: 0, summary: "min-max" } as const]),
  ];
}

/** How an answer attends after such a reading. */
export function waysOf(reading: Reading, length: number, reduced: boolean): Way[] {
  const way = (change: Partial<Selection>): Way => ({ selection: { ...dense, ...change } });
  const sparse = (budgets: number[]): Way[] =>
    budgets.filter((budget) => budget < length).map((pageBudget) => way({ pageBudget }));
  if (reading.summary === "min-max")
    return [
      ...sparse([512, 1024, 2048]),
      way({ pageBudget: 1024, vote: "max" }),
      way({ pageBudget: 1024, vote: "per-head" }),
    ];
  if (reading.readingBudget > 0) return [way({}), ...sparse([1024, ...(reduced ? [] : [2048])])];
  const changed = [
    ...(["max", "per-head"] as const).map((vote) => way({ pageBudget: 1024, vote })),
    ...[1, 2].map((denseLayers) => way({ pageBudget: 1024, denseLayers })),
    way({ pageBudget: 2048, vote: "per-head" }),
    way({ pageBudget: 2048, denseLayers: 2 }),
  ];
  if (reduced) return [way({}), ...sparse([512, 1024, 2048, 4096]), way({ pageBudget: 1024, denseLayers: 2 })];
  return [
    way({}),
    ...sparse([256, 512, 1024, 1536, 2048, 3072, 4096, ...(length < long ? [] : [6144, 8192])]),
    ...(length > stretched ? [] : changed),
  ];
}
