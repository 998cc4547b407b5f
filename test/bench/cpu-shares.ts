// cpu-shares.ts — builds and runs native/cpu_shares.cpp: the machine's ceilings, and where the time of an op table goes.
//
// In: a model's file and lengths. Out: its rows; none, with a word on standard error, where there is no CMake or no compiler.

import { nativeRows } from "./native-rows.ts";
import type { Row } from "./results-file.ts";

export interface SharesOptions {
  lengths: readonly number[];
  threads: number;
  pageBudget: number;
  readingBudget: number;
}

export async function cpuShares(model: string, asked: SharesOptions): Promise<Row[]> {
  try {
    return await nativeRows("bench_cpu_shares", model, (asked.lengths.at(-1) ?? 0) + 64, [
      `threads=${asked.threads}`,
      `lengths=${asked.lengths.join(",")}`,
      `budget=${asked.pageBudget}`,
      `reading=${asked.readingBudget}`,
    ]);
  } catch (error) {
    process.stderr.write(`No shares of the ops: ${error instanceof Error ? error.message : String(error)}\n`);
    return [];
  }
}
