// speed.ts — how fast this machine reads: what was measured the last time, else an estimate from its cores and instructions.
//
// In and out: one small JSON file in the per-user folder, by backend, threads and model. A measurement is the speed of a read
// brought back to an empty memory, so that it can be used for any length. Other programs make a read slow and nothing makes it
// fast, so the fastest of the last few counts: one busy hour must not decide for ever which model answers.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { Machine } from "../native/index.d.ts";
import { catalog, type ModelEntry } from "./models/catalog.ts";
import { readingSeconds, speedOf } from "./models/choose.ts";
import { quireHome } from "./paths.ts";

/** The last speeds, oldest first; a single number is what earlier versions kept. */
const schema = z.record(
  z.string(),
  z.union([
    z.array(z.number().positive()),
    z
      .number()
      .positive()
      .transform((speed) => [speed]),
  ]),
);

/** Tokens per second and core of the 0.5B with little in memory; measured on one Zen 4 core, scaled for the others. */
const estimatePerCore: Readonly<Record<string, number>> = { "avx512-vnni": 300, avx2: 100, plain: 3 };
const estimatedModel = "qwen2.5-coder-0.5b";
/** The same of a GPU, whole: a small one's; an H100 was measured at twelve times that. */
const estimateOfGpu = 10_000;
/** A read shorter than this is mostly overhead and says nothing. */
const leastTokens = 1024;
const mostKept = 5;
/** Fewer reads than this may have had bad luck: another model's speed or the estimate, scaled, is then believed where it is higher. */
const enoughReads = 2;

export interface Speeds {
  /** By model name. */
  tokensPerSecond: Record<string, number>;
  measured: boolean;
}

const fileOf = (): string => path.join(quireHome(), "speed.json");
const keyOf = (backend: string, threads: number, model: string): string => `${backend} ${threads} ${model}`;

async function load(): Promise<Record<string, number[]>> {
  try {
    return schema.parse(JSON.parse(await readFile(fileOf(), "utf8")));
  } catch {
    return {}; // not there or not ours: as if nothing was measured
  }
}

/**
 * Speeds of the catalog's models on this backend: the fastest of the last five reads; where there were fewer than two, another model's
 * or the estimate, scaled by the work of a token, if that is higher. Models for tests are small and say nothing about others.
 * @param gpu the name of the GPU that is used, if one is
 */
export async function knownSpeeds(machine: Machine, cpu: string, threads: number, gpu?: string): Promise<Speeds> {
  const onCpu = cpu === "auto" ? (machine.cpuBackends[0] ?? "plain") : cpu;
  const backend = gpu === undefined ? onCpu : `cuda ${gpu}`;
  const count = threads > 0 ? threads : machine.cores;
  const all = await load();
  const fastest: Record<string, number> = {};
  for (const { name } of catalog) {
    const runs = all[keyOf(backend, count, name)] ?? [];
    if (runs.length > 0) fastest[name] = Math.max(...runs);
  }
  const estimate = { [estimatedModel]: gpu === undefined ? (estimatePerCore[backend] ?? 3) * count : estimateOfGpu };
  const tokensPerSecond: Record<string, number> = {};
  for (const entry of catalog) {
    const own = fastest[entry.name] ?? 0;
    const few = (all[keyOf(backend, count, entry.name)]?.length ?? 0) < enoughReads;
    const others = Object.fromEntries(
      catalog.flatMap(({ name, testOnly }) => {
        const speed = testOnly || name === entry.name ? undefined : fastest[name];
        return speed === undefined ? [] : [[name, speed]];
      }),
    );
    const assumed = few ? Math.max(speedOf(entry, others) ?? 0, speedOf(entry, estimate) ?? 0) : 0;
    tokensPerSecond[entry.name] = Math.max(own, assumed);
  }
  return { tokensPerSecond, measured: Object.keys(fastest).length > 0 };
}

/** Keeps the speed of a read of `tokens` tokens that took `seconds`. A failure to write is no failure of the read. */
export async function rememberSpeed(
  entry: ModelEntry,
  backend: string,
  threads: number,
  tokens: number,
  seconds: number,
): Promise<void> {
  if (tokens < leastTokens || seconds <= 0) return;
  // readingSeconds at 1 token/s is the read's length in units of an empty memory's tokens.
  const speed = readingSeconds(entry, tokens, 1) / seconds;
  try {
    const before = await load();
    const key = keyOf(backend, threads, entry.name);
    const all = { ...before, [key]: [...(before[key] ?? []), speed].slice(-mostKept) };
    await mkdir(quireHome(), { recursive: true, mode: 0o700 });
    const temporary = `${fileOf()}.${process.pid}`;
    await writeFile(temporary, JSON.stringify(all), { mode: 0o600 });
    await rename(temporary, fileOf());
  } catch {
    // The next run estimates again.
  }
}
