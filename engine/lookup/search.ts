// search.ts — lines of the collected files that hold any of some fixed strings, by ripgrep.
//
// In: files and strings. Out: per file the matching lines. Bounded in time, in lines per file, in length of a line and in bytes
// altogether; reads no configuration and no file that was not passed.

import { spawn } from "node:child_process";
import { rgPath } from "@vscode/ripgrep";
import { z } from "zod";
import { QuireError } from "../errors.ts";
import type { LookupFile } from "./types.ts";

export interface Hit {
  /** 1-based. */
  line: number;
  text: string;
}

export interface Found {
  hits: Map<string, Hit[]>;
  /** False where the time or output limit was met. */
  complete: boolean;
}

export interface SearchLimits {
  linesPerFile: number;
  bytesPerFile: number;
  outputBytes: number;
  milliseconds: number;
}

export interface SearchDeps {
  spawn: typeof spawn;
  rgPath: string;
}

export const usualLimits: SearchLimits = {
  linesPerFile: 400,
  bytesPerFile: 4_000_000,
  outputBytes: 48_000_000,
  milliseconds: 8_000,
};

/** Windows allows 32 767 characters of arguments, others far more. */
const argumentBytes = process.platform === "win32" ? 24_000 : 120_000;
const longestLine = 1_000;
const matchSchema = z.object({
  type: z.literal("match"),
  data: z.object({
    path: z.union([z.object({ text: z.string() }), z.object({ bytes: z.string() })]),
    lines: z.union([z.object({ text: z.string() }), z.object({ bytes: z.string() })]),
    line_number: z.number(),
  }),
});

/** Case-insensitive. Errors: "cancelled"; "internal" where ripgrep cannot be started. Unreadable files are passed over. */
export async function searchFiles(
  files: readonly LookupFile[],
  strings: readonly string[],
  signal: AbortSignal,
  limits: SearchLimits = usualLimits,
  deps: SearchDeps = { spawn, rgPath },
): Promise<Found> {
  const found: Found = { hits: new Map(), complete: true };
  const wanted = [...new Set(strings.filter((text) => text !== "" && !/[\n\r\0]/.test(text)))];
  const byAbsolute = new Map<string, string>();
  const batches: string[][] = [];
  let room = 0;
  for (const file of files) {
    if (file.bytes > limits.bytesPerFile || file.absolutePath.includes("\0")) continue;
    byAbsolute.set(file.absolutePath, file.path);
    const size = Buffer.byteLength(file.absolutePath) + 1;
    if (room < size || batches.length === 0) {
      batches.push([]);
      room = argumentBytes;
    }
    room -= size;
    batches[batches.length - 1]?.push(file.absolutePath);
  }
  if (wanted.length === 0 || batches.length === 0) return found;
  const options = [
    "--json",
    "--no-config",
    "--fixed-strings",
    "--ignore-case",
    "--no-messages",
    `--max-count=${limits.linesPerFile}`,
  ];
  const patterns = wanted.flatMap((text) => ["-e", text]);
  const budget = { bytes: limits.outputBytes, deadline: Date.now() + limits.milliseconds };
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < batches.length) {
      const batch = batches[next++] ?? [];
      await runOne([...options, ...patterns, "--", ...batch], byAbsolute, found, budget, signal, deps);
    }
  };
  await Promise.all([worker(), worker()]);
  if (signal.aborted) throw new QuireError("cancelled", "The search was cancelled.");
  for (const hits of found.hits.values()) hits.sort((a, b) => a.line - b.line);
  return found;
}

function runOne(
  args: string[],
  byAbsolute: Map<string, string>,
  found: Found,
  budget: { bytes: number; deadline: number },
  signal: AbortSignal,
  deps: SearchDeps,
): Promise<void> {
  const left = budget.deadline - Date.now();
  if (signal.aborted) return Promise.resolve();
  if (left <= 0 || budget.bytes <= 0) {
    found.complete = false;
    return Promise.resolve();
  }
  return new Promise((resolve, reject) => {
    const child = deps.spawn(deps.rgPath, args, { stdio: ["ignore", "pipe", "ignore"], windowsHide: true });
    const stop = (): void => {
      child.kill("SIGKILL");
    };
    const cut = (): void => {
      found.complete = false;
      stop();
    };
    const timer = setTimeout(cut, left);
    signal.addEventListener("abort", stop, { once: true });
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    };
    let rest = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (chunk: string) => {
      budget.bytes -= chunk.length;
      if (budget.bytes <= 0) return cut();
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith('{"type":"match"')) takeMatch(line, byAbsolute, found);
    });
    child.on("error", (cause) => {
      done();
      reject(
        new QuireError("internal", `ripgrep could not be started: ${cause.message}`, { where: deps.rgPath, cause }),
      );
    });
    child.on("close", () => {
      done();
      resolve();
    });
  });
}

function takeMatch(json: string, byAbsolute: Map<string, string>, found: Found): void {
  const parsed = matchSchema.safeParse(JSON.parse(json));
  if (!parsed.success) return;
  const { path, lines, line_number } = parsed.data.data;
  const known = byAbsolute.get(plainText(path));
  if (known === undefined) return;
  const hits = found.hits.get(known) ?? [];
  hits.push({
    line: line_number,
    text: plainText(lines)
      .slice(0, longestLine)
      .replace(/\r?\n$/, ""),
  });
  found.hits.set(known, hits);
}

function plainText(field: { text: string } | { bytes: string }): string {
  return "text" in field ? field.text : Buffer.from(field.bytes, "base64").toString("utf8");
}
