// native-rows.ts — builds a bench of native/ that takes a model and a table of its tensors (native/gguf-table.ts), and runs it.
//
// In: the program, a model's file, tokens of source that the table must have, arguments. Out: the rows that it printed.
// Throws where there is no CMake or no compiler, and where the program fails.

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

export async function nativeRows(program: string, model: string, tokens: number, args: string[]): Promise<Row[]> {
  const tree = join(root, "build", "bench");
  const folder = await mkdtemp(join(tmpdir(), "quire-bench-"));
  try {
    await execute("cmake", ["-S", join(root, "native"), "-B", tree, "-DQUIRE_BENCH=ON"]);
    await execute("cmake", ["--build", tree, "--target", program, "--parallel", "2"]);
    const writer = join(root, "test", "bench", "native", "gguf-table.ts");
    const writing = [process.execPath, ["--import", "tsx", writer, model, String(tokens)]] as const;
    const { stdout: table } = await execute(...writing, { cwd: root, maxBuffer: 64 << 20 });
    await writeFile(join(folder, "table.txt"), table);
    const { stdout } = await execute(join(tree, program), [model, join(folder, "table.txt"), ...args]);
    return stdout
      .split("\n")
      .filter((text) => text !== "")
      .map((text) => line.parse(JSON.parse(text)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
