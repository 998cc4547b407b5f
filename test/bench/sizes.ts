// sizes.ts — what large inputs cost: 10 000 files collected and planned, tokens per second, opening a model, memory while reading.
//
//   npm run bench -- sizes [--model NAME] [--json]
// Each row has its limit, and a ratio to the plainest thing that touches the same bytes: `git ls-files`, a read. Everything is
// measured with the disk's pages warm. Status 1 when a limit is passed. Rows go to results/sizes.json.

import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { collect, type HeadCache } from "../../engine/collect/collect.ts";
import { realListDeps } from "../../engine/collect/list-files.ts";
import { findModel } from "../../engine/models/catalog.ts";
import { readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import { modelFile, openModel } from "../../engine/open-model.ts";
import { classify, estimateTokens } from "../../engine/plan/classify.ts";
import { plan } from "../../engine/plan/plan.ts";
import { pagesFor } from "../../engine/prefill/documents.ts";
import { HeldMemory } from "../../engine/prefill/held-memory.ts";
import { maxFileBytes } from "../../engine/prepare.ts";
import { Tokenizer } from "../../engine/tokenize/tokenizer.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { median, printRow, provenance, type Row, writeRows } from "./results-file.ts";

const fileCount = 10_000;
const readTokens = 4096;
const rounds = 3;
const never = new AbortController().signal;
const repository = fileURLToPath(new URL("../../", import.meta.url));

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "qwen2.5-coder-0.5b" },
    json: { type: "boolean", default: false },
    /** Only reads `readTokens` tokens and says how much memory this process took: a process of its own, for its peak. */
    peak: { type: "boolean", default: false },
  },
});

/** Seconds of the work, what it gave, and this process's seconds of processor: what is left of it on a busy machine. */
async function timed<T>(work: () => T | Promise<T>): Promise<[number, T, number]> {
  const began = performance.now();
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  return [(performance.now() - began) / 1000, result, (user + system) / 1e6];
}

/** Median seconds over a few rounds. */
async function usual(work: () => unknown): Promise<number> {
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round++) seconds.push((await timed(work))[0]);
  return median(seconds);
}

/** Source files of this repository and of the packages it uses, up to so many bytes. */
function realSource(bytes: number): string[] {
  const texts: string[] = [];
  let left = bytes;
  for (const folder of [
    "engine",
    "native",
    "test/engine",
    "node_modules/web-tree-sitter",
    "node_modules/mocha",
    "node_modules/zod",
  ]) {
    for (const name of readdirSync(path.join(repository, folder), { recursive: true, encoding: "utf8" })) {
      if (left <= 0) return texts;
      if (!/\.(ts|js|cpp|h)$/.test(name) || /\.min\./.test(name)) continue;
      const text = readFileSync(path.join(repository, folder, name), "utf8");
      if (text.length > 500_000) continue; // bundles
      texts.push(text);
      left -= Buffer.byteLength(text);
    }
  }
  return texts;
}

/** A git repository of so many files, each a part of this repository's own source. */
function generateRepository(folder: string): void {
  const texts = realSource(1_500_000);
  for (let index = 0; index < fileCount; index++) {
    const text = texts[index % texts.length] ?? "";
    const from = (index * 997) % Math.max(1, text.length - 3000);
    const file = path.join(folder, `pkg${index % 40}`, `mod${index % 400}`, `file${index}.ts`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `// file ${index}\n${text.slice(from, from + 3000)}\n`);
  }
  const git = (...args: string[]): unknown => execFileSync("git", args, { cwd: folder, stdio: "ignore" });
  git("init", "-q");
  git("add", ".");
  git("-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "all");
}

/** Reads a file by pieces and throws the bytes away. */
function plainRead(file: string): void {
  const buffer = Buffer.alloc(1 << 20);
  const handle = openSync(file, "r");
  while (readSync(handle, buffer) > 0);
  closeSync(handle);
}

async function collecting(): Promise<Row[]> {
  const root = mkdtempSync(path.join(tmpdir(), "quire-sizes-"));
  try {
    generateRepository(root);
    const folders = [{ name: "bench", root }];
    const options = { include: [], exclude: [], trusted: true, maxFileBytes, unsaved: [] };
    const once = async (heads: HeadCache) => {
      const collected = await collect(folders, options, never, { ...realListDeps, heads });
      const inputs = collected.files.map((file) => ({
        path: file.path,
        class: classify(file.path),
        changedMs: file.changedMs,
        tokens: estimateTokens(file.bytes, file.path),
      }));
      return { collected, planned: plan(inputs, 26_000) };
    };
    const heads: HeadCache = new Map();
    const [cold, { collected }, coldCpu] = await timed(() => once(heads));
    const again = await usual(() => once(heads));
    const againCpu = (await timed(() => once(heads)))[2];
    const listing = await usual(() =>
      execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root, maxBuffer: 1 << 28 }),
    );
    const reading = await usual(() => {
      for (const file of collected.files) plainRead(file.absolutePath);
    });
    const facts = { files: collected.files.length, gitListSeconds: listing, plainReadSeconds: reading };
    const row = (what: string, seconds: number, cpuSeconds: number, limit: number): Row => ({
      what,
      seconds,
      cpuSeconds,
      limit,
      ratio: seconds / (listing + reading),
      ratioTo: "git ls-files and a plain read of every file",
      ...facts,
    });
    return [row("10 000 files collected and planned", cold, coldCpu, 5), row("the same again", again, againCpu, 1)];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function tokenizing(file: string): Promise<Row> {
  const { tokenizer } = await readGguf(file);
  const texts = realSource(6_000_000);
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const fresh = new Tokenizer(tokenizer);
  const [seconds, tokens, cpuSeconds] = await timed(() =>
    texts.reduce((sum, text) => sum + fresh.encode(text).length, 0),
  );
  const joined = Buffer.from(texts.join(""));
  const plain = await usual(() => joined.toString("utf8").length);
  return {
    what: "tokens per second, one core, words not seen before",
    value: tokens / seconds,
    atLeast: 250_000,
    bytes,
    tokens,
    seconds,
    cpuSeconds,
    ratio: seconds / plain,
    ratioTo: "decoding the same bytes as UTF-8",
  };
}

async function opening(name: string, file: string): Promise<Row> {
  const entry = findModel(name);
  if (entry === undefined) throw new Error(`The catalog has no ${name}.`);
  const addon = native();
  plainRead(file);
  const total: number[] = [];
  const cpu: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const choice = { kind: "catalog", entry, reason: "the bench" } as const;
    const [seconds, open, cpuSeconds] = await timed(async () => {
      const found = await modelFile({ choice, mayFetch: true, signal: never, onFetch: () => {}, say: () => {} });
      return openModel(addon, found, { choice, threads: 0, cpu: "auto" });
    });
    open.native.dispose();
    total.push(seconds);
    cpu.push(cpuSeconds);
  }
  const header = await usual(() => readGguf(file));
  const { tokenizer, geometry, tensors } = await readGguf(file);
  const tokenizerSeconds = await usual(() => new Tokenizer(tokenizer));
  const packing = await usual(async () =>
    (await addon.openModel({ path: file, geometry, tensors, threads: 0, cpu: "auto" })).dispose(),
  );
  const plain = await usual(() => plainRead(file));
  return {
    what: `${name} opened, from a warm disk`,
    seconds: median(total),
    cpuSeconds: median(cpu),
    limit: 2,
    headerSeconds: header,
    tokenizerSeconds,
    packingSeconds: packing,
    plainReadSeconds: plain,
    ratio: median(total) / plain,
    ratioTo: "a plain read of the file",
  };
}

/** In a process of its own: reads, and prints what it took. */
async function measurePeak(name: string): Promise<void> {
  const entry = findModel(name);
  if (entry === undefined) throw new Error(`The catalog has no ${name}.`);
  const choice = { kind: "catalog", entry, reason: "the bench" } as const;
  const file = await modelFile({ choice, mayFetch: true, signal: never, onFetch: () => {}, say: () => {} });
  const open = await openModel(native(), file, { choice, threads: 0, cpu: "auto" });
  const tokens = open.tokenizer.encode(realSource(60_000).join("\n")).slice(0, readTokens);
  const pages = pagesFor(tokens.length) + 64;
  const shape = { summary: "mean-spread", rope: { factor: 1, originalContext: 0 } } as const;
  const memory = new HeldMemory(native(), open.native, shape, pages);
  await memory.read([{ path: "all", tokens }], never, () => {});
  const { weightBytes, pageBytes } = open.native.info;
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const row = { tokens: tokens.length, peakBytes, weightBytes, kvBytes: pages * pageBytes };
  process.stdout.write(`${JSON.stringify(row)}\n`);
}

function peakOf(name: string): Row {
  const args = ["--import", "tsx", fileURLToPath(import.meta.url), "--peak", "--model", name];
  const out = execFileSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const facts = JSON.parse(out) as { tokens: number; peakBytes: number; weightBytes: number; kvBytes: number };
  return {
    what: `memory beside weights and KV after reading ${facts.tokens} tokens, MB`,
    value: (facts.peakBytes - facts.weightBytes - facts.kvBytes) / 1e6,
    limit: 500,
    ratio: facts.peakBytes / (facts.weightBytes + facts.kvBytes),
    ratioTo: "weights and KV",
    ...facts,
  };
}

if (values.peak) {
  await measurePeak(values.model);
} else {
  const file = await fetchedModel(values.model);
  const origin = provenance();
  const rows: Row[] = [];
  for (const measure of [
    collecting,
    () => tokenizing(file),
    () => opening(values.model, file),
    () => peakOf(values.model),
  ]) {
    for (const row of [await measure()].flat()) {
      const measured = Number(
        row.seconds !== undefined && row.limit !== undefined && row.value === undefined ? row.seconds : row.value,
      );
      const within = row.atLeast === undefined ? measured <= Number(row.limit) : measured >= Number(row.atLeast);
      if (!within) process.exitCode = 1;
      const whole = { bench: "sizes", ...row, within, ...origin };
      rows.push(whole);
      printRow(whole, values.json);
    }
  }
  writeRows("sizes", rows);
}
