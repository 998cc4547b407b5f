// cpu-shares.ts — builds and runs native/cpu_shares.cpp: the machine's ceilings, and where the time of an op table goes.
//
// In: a model's file and lengths. Out: its rows; none, with a word on standard error, where there is no CMake or no compiler.

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { z } from "zod";
import type { Row } from "./results-file.ts";

const execute = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const line = z.looseObject({ what: z.string() });

export interface SharesOptions {
  lengths: readonly number[];
  threads: number;
  pageBudget: number;
  readingBudget: number;
}

export async function cpuShares(model: string, asked: SharesOptions): Promise<Row[]> {
  const tree = join(root, "build", "bench");
  const folder = await mkdtemp(join(tmpdir(), "quire-shares-"));
  try {
    await execute("cmake", ["-S", join(root, "native"), "-B", tree, "-DQUIRE_BENCH=ON"]);
    await execute("cmake", ["--build", tree, "--target", "bench_cpu_shares", "--parallel", "2"]);
    const longest = asked.lengths.at(-1) ?? 0;
    const writer = join(root, "test", "bench", "native", "gguf-table.ts");
    const { stdout: table } = await execute(
      process.execPath,
      ["--import", "tsx", writer, model, String(longest + 64)],
      {
        cwd: root,
        maxBuffer: 64 << 20,
      },
    );
    await writeFile(join(folder, "table.txt"), table);
    const { stdout } = await execute(join(tree, "bench_cpu_shares"), [
      model,
      join(folder, "table.txt"),
      `threads=${asked.threads}`,
      `lengths=${asked.lengths.join(",")}`,
      `budget=${asked.pageBudget}`,
      `reading=${asked.readingBudget}`,
    ]);
    return stdout
      .split("\n")
      .filter((text) => text !== "")
      .map((text) => line.parse(JSON.parse(text)));
  } catch (error) {
    process.stderr.write(`No shares of the ops: ${error instanceof Error ? error.message : String(error)}\n`);
    return [];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
