// memory.ts — what keeping a memory on disk costs: bytes per token, saving and restoring over what the disk gives, and how much slower
// reading is with it.
//
//   npm run bench -- memory [--model NAME] [--tokens N] [--threads N] [--folder PLACE] [--json]
// The disk is measured in the same run, in the same folder, with the same bytes: written and flushed, read with and without the system's cache
// (dropped by `dd iflag=nocache`; without dd only the cached row is made). Rows go to results/memory.json. Status 1 past a limit.

import { execFileSync } from "node:child_process";
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { MemoryStore } from "../../engine/memories/store.ts";
import { readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import { pagesOf, type WantedDocument } from "../../engine/prefill/documents.ts";
import { HeldMemory } from "../../engine/prefill/held-memory.ts";
import type { Memory } from "../../native/index.d.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { median, printRow, provenance, type Row, readRows, writeRows } from "./results-file.ts";

const rounds = 5;
const documentTokens = 400;
const never = new AbortController().signal;
const shape = { summary: "mean-spread", rope: { factor: 1, originalContext: 0 } } as const;

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "smollm2-135m" },
    tokens: { type: "string", default: "4000" },
    /** 0: one per core; on a machine that others use, 1 waits for nobody. */
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
    /** Only saving and restoring: the other row is kept as it was. */
    disk: { type: "boolean", default: false },
    /** Where the memories are put: the disk that is measured. */
    folder: { type: "string", default: tmpdir() },
  },
});

/** Of the processor, of the last call of seconds(): what is left of it on a busy machine. */
let cpuSeconds = 0;

async function seconds(work: () => Promise<unknown> | unknown): Promise<number> {
  const began = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  cpuSeconds = (user + system) / 1e6;
  return (performance.now() - began) / 1000;
}

const file = await fetchedModel(values.model);
const { geometry, tensors } = await readGguf(file);
const addon = native();
const model = await addon.openModel({ path: file, geometry, tensors, threads: Number(values.threads), cpu: "auto" });
const { pageBytes, backend } = model.info;
const documents = Array.from({ length: Math.ceil(Number(values.tokens) / documentTokens) }, (_, at): WantedDocument => {
  const tokens = Int32Array.from({ length: documentTokens }, (__, i) => 300 + ((at * 7919 + i * 104_729) % 30_000));
  return { path: `file-${at}.ts`, tokens };
});
const total = documents.length * documentTokens;
const home = mkdtempSync(path.join(values.folder, "quire-memory-bench-"));

function storeIn(folder: string): MemoryStore {
  const identity = { abi: addon.Memory.abi, modelHash: "bench", geometry, backend, ...shape };
  const say = (message: string): void => {
    throw new Error(message);
  };
  return new MemoryStore(identity, { folder, cap: 1e12, pageBytes, say });
}

/** The native memories, to save from without reading. */
const handles = new WeakMap<HeldMemory, Memory>();

function begin(store: MemoryStore | undefined): HeldMemory {
  let handle: Memory | undefined;
  class Spied extends addon.Memory {
    constructor(...given: ConstructorParameters<typeof addon.Memory>) {
      super(...given);
      handle = this;
    }
  }
  const held = new HeldMemory({ ...addon, Memory: Spied } as typeof addon, model, shape, pagesOf(documents) + 8);
  if (handle !== undefined) handles.set(held, handle);
  held.store = store;
  return held;
}

const segmentsIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => path.join(folder, name));

/** Whether the system's cache could be made to forget the files. */
function forget(files: readonly string[]): boolean {
  try {
    for (const one of files) execFileSync("dd", [`if=${one}`, "iflag=nocache", "count=0"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function plainRead(files: readonly string[]): void {
  const buffer = Buffer.alloc(1 << 20);
  for (const one of files) {
    const handle = openSync(one, "r");
    while (readSync(handle, buffer) > 0);
    closeSync(handle);
  }
}

function plainWrite(target: string, bytes: number): void {
  const buffer = Buffer.alloc(1 << 20, 7);
  const handle = openSync(target, "w");
  for (let left = bytes; left > 0; left -= buffer.length) writeSync(handle, buffer, 0, Math.min(left, buffer.length));
  fsyncSync(handle);
  closeSync(handle);
}

/** Reading with and without a store, by turns, so that both meet the same load. */
async function reading(): Promise<Row> {
  const [plain, kept]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const without = begin(undefined);
    plain.push(await seconds(() => without.read(documents, never, () => {})));
    without.dispose();
    const folder = path.join(home, `reading-${round}`);
    const saving = begin(storeIn(folder));
    kept.push(await seconds(() => saving.read(documents, never, () => {})));
    await saving.settled();
    saving.dispose();
    rmSync(folder, { recursive: true });
  }
  // Pairs, since the load of a shared machine moves more than this.
  const slower = median(kept.map((with_, round) => with_ / (plain[round] ?? 1))) - 1;
  const least = Math.min(...kept) / Math.min(...plain) - 1;
  return {
    what: "reading slower by saving",
    value: slower,
    leastOverLeast: least,
    limit: 0.05,
    seconds: median(plain),
    savingSeconds: median(kept),
    tokensPerSecond: total / Math.min(...plain),
  };
}

async function savingAndRestoring(): Promise<Row[]> {
  const held = begin(storeIn(path.join(home, "first")));
  await held.read(documents, never, () => {});
  await held.settled();
  const files = segmentsIn(home);
  const bytes = files.reduce((sum, one) => sum + statSync(one).size, 0);
  const speed = (times: readonly number[]): number => bytes / median(times) / 1e9;
  const taken = {
    written: [],
    saved: [],
    cold: [],
    coldPlain: [],
    warm: [],
    warmPlain: [],
    savedCpu: [],
    warmCpu: [],
  } as Record<string, number[]>;
  let canForget = true;
  for (let round = 0; round < rounds; round++) {
    const target = path.join(home, "plain");
    taken.written?.push(await seconds(() => plainWrite(target, bytes)));
    rmSync(target);
    const folder = path.join(home, `save-${round}`);
    // A memory that was restored is saved elsewhere: no token is computed in between.
    const again = begin(storeIn(path.join(home, "first")));
    await again.read(documents, never, () => {});
    await again.settled();
    const other = storeIn(folder);
    taken.saved?.push(
      await seconds(async () => {
        for (const [index, document] of documents.entries()) {
          await other.save(handleOf(again), index, document.tokens, other.segmentOf(documents, index), () => []);
        }
        await other.settled();
      }),
    );
    taken.savedCpu?.push(cpuSeconds);
    again.dispose();
    rmSync(folder, { recursive: true });
    const restore = async (): Promise<number> => {
      const restored = begin(storeIn(path.join(home, "first")));
      const time = await seconds(async () => {
        const { prefilledTokens } = await restored.read(documents, never, () => {});
        if (prefilledTokens > 0) throw new Error(`${prefilledTokens} tokens were read again`);
      });
      await restored.settled();
      restored.dispose();
      return time;
    };
    canForget &&= forget(files);
    if (canForget) {
      taken.coldPlain?.push(await seconds(() => plainRead(files)));
      forget(files);
      taken.cold?.push(await restore());
    }
    taken.warmPlain?.push(await seconds(() => plainRead(files)));
    taken.warm?.push(await restore());
    taken.warmCpu?.push(cpuSeconds);
  }
  held.dispose();
  const row = (what: string, ours: number[] = [], plain: number[] = [], limit?: number, cpu?: number[]): Row => ({
    what,
    GBps: speed(ours),
    plainGBps: speed(plain),
    value: speed(ours) / speed(plain),
    ...(cpu === undefined ? {} : { GBPerCpuSecond: speed(cpu) }),
    ...(limit === undefined ? {} : { atLeast: limit }),
  });
  return [
    { what: "bytes per token on disk", value: bytes / total, inMemory: pageBytes / 16, bytes },
    row("saving over writing and flushing the same bytes", taken.saved, taken.written, 0.7, taken.savedCpu),
    ...(canForget
      ? [row("restoring over reading the same bytes, from the disk", taken.cold, taken.coldPlain, 0.7)]
      : []),
    row(
      "restoring over reading the same bytes, from the system's cache",
      taken.warm,
      taken.warmPlain,
      undefined,
      taken.warmCpu,
    ),
  ];
}

function handleOf(held: HeldMemory): Memory {
  const handle = handles.get(held);
  if (handle === undefined) throw new Error("a memory without a handle");
  return handle;
}

try {
  const origin = provenance();
  const rows: Row[] = [];
  for (const measured of [...(await savingAndRestoring()), ...(values.disk ? [] : [await reading()])]) {
    const value = Number(measured.value);
    const within =
      (measured.limit === undefined || value <= Number(measured.limit)) &&
      (measured.atLeast === undefined || value >= Number(measured.atLeast));
    if (!within) process.exitCode = 1;
    const whole = {
      bench: "memory",
      model: values.model,
      tokens: total,
      backend,
      threads: model.info.threads,
      ...measured,
      within,
      ...origin,
    };
    rows.push(whole);
    printRow(whole, values.json);
  }
  const isOld = (row: Row): boolean => rows.some(({ model: of, what }) => of === row.model && what === row.what);
  writeRows("memory", [...readRows("memory").filter((row) => !isOld(row)), ...rows]);
} finally {
  model.dispose();
  rmSync(home, { recursive: true, force: true });
}
