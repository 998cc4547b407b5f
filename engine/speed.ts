// speed.ts — how fast this machine reads: what was measured the last time, else an estimate from its cores and instructions.
//
// In and out: one small JSON file in the per-user folder, by backend, threads and model. A measurement is the speed of a read
// brought back to an empty memory, so that it can be used for any length.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { Machine } from "../native/index.d.ts";
import { catalog, type ModelEntry } from "./models/catalog.ts";
import { readingSeconds } from "./models/choose.ts";
import { quireHome } from "./paths.ts";

const schema = z.record(z.string(), z.number().positive());

/** Tokens per second and core of the 0.5B with little in memory; measured on one Zen 4 core, scaled for the others. */
const estimatePerCore: Readonly<Record<string, number>> = { "avx512-vnni": 200, avx2: 70, plain: 3 };
const estimatedModel = "qwen2.5-coder-0.5b";
/** The same of a GPU, whole: a small one's; an H100 was measured at twelve times that. */
const estimateOfGpu = 10_000;
/** A read shorter than this is mostly overhead and says nothing. */
const leastTokens = 1024;

export interface Speeds {
  /** By model name. */
  tokensPerSecond: Record<string, number>;
  measured: boolean;
}

const fileOf = (): string => path.join(quireHome(), "speed.json");
const keyOf = (backend: string, threads: number, model: string): string => `${backend} ${threads} ${model}`;

async function load(): Promise<Record<string, number>> {
  try {
    return schema.parse(JSON.parse(await readFile(fileOf(), "utf8")));
  } catch {
    return {}; // not there or not ours: as if nothing was measured
  }
}

/**
 * Speeds of the catalog's models on this backend; an estimate for the 0.5B where nothing was measured.
 * @param gpu the name of the GPU that is used, if one is
 */
export async function knownSpeeds(machine: Machine, cpu: string, threads: number, gpu?: string): Promise<Speeds> {
  const onCpu = cpu === "auto" ? (machine.cpuBackends[0] ?? "plain") : cpu;
  const backend = gpu === undefined ? onCpu : `cuda ${gpu}`;
  const count = threads > 0 ? threads : machine.cores;
  const measured = await load();
  const tokensPerSecond: Record<string, number> = {};
  for (const { name } of catalog) {
    const speed = measured[keyOf(backend, count, name)];
    if (speed !== undefined) tokensPerSecond[name] = speed;
  }
  if (Object.keys(tokensPerSecond).length > 0) return { tokensPerSecond, measured: true };
  if (gpu !== undefined) return { tokensPerSecond: { [estimatedModel]: estimateOfGpu }, measured: false };
  const perCore = estimatePerCore[backend] ?? 3;
  return { tokensPerSecond: { [estimatedModel]: perCore * count }, measured: false };
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
    const all = { ...(await load()), [keyOf(backend, threads, entry.name)]: speed };
    await mkdir(quireHome(), { recursive: true, mode: 0o700 });
    const temporary = `${fileOf()}.${process.pid}`;
    await writeFile(temporary, JSON.stringify(all), { mode: 0o600 });
    await rename(temporary, fileOf());
  } catch {
    // The next run estimates again.
  }
}
