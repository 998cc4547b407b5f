// engine.ts — the engine of one client: its open model, its memory, and one question at a time.
//
// Keeps the model and the memory between questions and replaces them when settings ask for others. Says what it does through
// events. A second question waits for the first; a cancelled one leaves the memory whole.

import { stat } from "node:fs/promises";
import { abortable } from "./abortable.ts";
import { type Backend, chooseBackend, processor, refusal, roomForPages, tooLittle } from "./backends.ts";
import { type Budget, chooseBudget, contextFor } from "./budget.ts";
import type { Collected } from "./collect/types.ts";
import { doctorReport } from "./doctor.ts";
import { QuireError } from "./errors.ts";
import { memoryCap } from "./memories/settings.ts";
import { MemoryStore } from "./memories/store.ts";
import {
  catalog,
  findModel,
  type ModelEntry,
  memoryBytesPerToken,
  memoryNeed,
  overheadBytes,
} from "./models/catalog.ts";
import { chooseModel, type ModelChoice, readingSeconds, speedOf } from "./models/choose.ts";
import { type FetchProgress, fetchModel } from "./models/fetch.ts";
import { fileHash } from "./models/files.ts";
import { listModels, type ModelState, removeModel, verifyModel } from "./models/store.ts";
import { modelFile, type OpenModel, openModel, trainedContext } from "./open-model.ts";
import { ensureFolder, memoriesFolder, modelsFolder } from "./paths.ts";
import { answerQuestion, type PipelineEvents, toReading } from "./pipeline.ts";
import { pagesFor, pagesOf } from "./prefill/documents.ts";
import { HeldMemory, type MemoryShape } from "./prefill/held-memory.ts";
import { ThreadRecords } from "./prefill/thread-records.ts";
import {
  collectWorkspace,
  emptyPrepareCache,
  estimateWorkspace,
  type PrepareCache,
  type Prepared,
  prepare,
} from "./prepare.ts";
import type {
  AskParams,
  AskResult,
  DoctorReport,
  EngineSettings,
  FetchEvent,
  FollowResult,
  MapParams,
  MapResult,
  ModelRow,
  PlannedEvent,
  Workspace,
} from "./protocol.ts";
import { poseQuestion } from "./question.ts";
import { knownSpeeds, rememberSpeed, type Speeds } from "./speed.ts";

export interface EngineEvents extends PipelineEvents {
  planned: (event: PlannedEvent) => void;
  fetching: (event: FetchEvent) => void;
}

/** Tokens planned when a model has to be chosen before it is open: what a 32k context takes beside question and answer. */
const usualBudget = 26_000;
const mapAnswerTokens = 512;
/** A GPU that has no room for a memory of so many tokens is not worth its model. */
const leastTokens = 4_096;

/** What the last question asked the memory with. */
interface Asked {
  settings: string;
  maxTokens: number;
}

export class Engine {
  readonly #events: EngineEvents;
  readonly #caches = new Map<string, PrepareCache>();
  #model: { key: string; open: OpenModel; backend: Backend } | undefined;
  #opening: { key: string; opened: Promise<OpenModel> } | undefined;
  #memory: { key: string; held: HeldMemory; asked: Asked } | undefined;
  #threads = new ThreadRecords();
  #running: Promise<void> = Promise.resolve();
  /** Stops what is done while nobody asks. */
  #following: AbortController | undefined;
  /** Questions and maps that run or wait. */
  #asked = 0;
  #said = new Set<string>();
  #fetchedFrom = "";

  constructor(events: EngineEvents) {
    this.#events = events;
  }

  /** Answers one question about a workspace. Throws "cancelled" at once when the signal fires, also while it waits for another. */
  ask(params: AskParams, signal: AbortSignal): Promise<AskResult> {
    this.#following?.abort();
    return this.#oneAtATime(params.id, signal, async () => {
      const beganMs = performance.now();
      const now = (): number => performance.now();
      if (params.fresh) this.#forget(params.workspace);
      const ready = await this.#prepare(params, params.maxTokens, signal);
      const { open, prepared, budget } = ready;
      this.#events.planned({
        id: params.id,
        model: open.name,
        tokenBudget: budget.tokens,
        budgetReason: budget.reason,
        usedTokens: prepared.usedTokens,
        documents: prepared.rows,
        leftOut: prepared.leftOut,
      });
      const posed = poseQuestion(params, prepared, budget, open);
      const { memory, contextTokens } = this.#memoryFor(params.settings, ready, params.maxTokens);
      const store = await this.#storeFor(ready, memory.shape, params.fresh, signal);
      memory.store = store;
      if (memory.shape.reading !== undefined) {
        const { pageBudget } = memory.shape.reading;
        this.#sayOnce(
          `The repository is read sparsely (reading budget ${pageBudget}): faster, and a little less exact.`,
        );
      }
      const result = await answerQuestion(
        { params, model: open, memory, prepared, budget, posed, contextTokens, threads: this.#threads, beganMs, now },
        signal,
        this.#events,
      ).finally(() => void open.cache.save());
      const { reusedTokens, prefilledTokens, prefillSeconds } = result.stats;
      const entry = findModel(open.name);
      if (entry !== undefined && reusedTokens === 0 && memory.shape.reading === undefined) {
        const { backend, threads } = open.native.info;
        await rememberSpeed(entry, backend.replace(/^cpu /, ""), threads, prefilledTokens, prefillSeconds);
      }
      return result;
    });
  }

  /** What an ask with these settings would read. */
  map(params: MapParams, signal: AbortSignal): Promise<MapResult> {
    this.#following?.abort();
    return this.#oneAtATime(params.id, signal, async () => {
      const { open, prepared, budget } = await this.#prepare(params, mapAnswerTokens, signal);
      await open.cache.save();
      const { weightBytes, pageBytes } = open.native.info;
      const pages = pagesOf(prepared.documents);
      return {
        model: open.name,
        documents: prepared.rows,
        leftOut: prepared.leftOut,
        tokenBudget: budget.tokens,
        budgetReason: budget.reason,
        usedTokens: prepared.usedTokens,
        memoryBytes: weightBytes + pages * pageBytes,
      };
    });
  }

  /** Brings the memory in step with files that changed, in place, while nobody asks; a question or a map stops it. */
  async follow(params: MapParams, signal: AbortSignal): Promise<FollowResult> {
    const nothing = { encodedTokens: 0, seconds: 0 };
    const { held, asked } = this.#memory ?? {};
    if (this.#asked > 0 || held === undefined || asked === undefined || params.settings.exact) return nothing;
    // Other settings may mean another model or budget: that is for the next question to change.
    if (asked.settings !== JSON.stringify(params.settings)) return nothing;
    const stopper = new AbortController();
    this.#following = stopper;
    const stop = AbortSignal.any([signal, stopper.signal]);
    return this.#oneAtATime(params.id, stop, async () => {
      const ready = await this.#prepare({ ...params, mayFetch: false }, asked.maxTokens, stop);
      if (this.#memory?.held !== held) return nothing;
      const least = contextFor(ready.budget.tokens, asked.maxTokens) - ready.budget.tokens;
      const edits = { beginningsOf: ready.open.beginningsOf, reservedPages: pagesFor(least) };
      const outcome = await held.follow(ready.prepared.documents, stop, edits);
      return { encodedTokens: outcome?.prefilledTokens ?? 0, seconds: outcome?.seconds ?? 0 };
    }).finally(() => {
      if (this.#following === stopper) this.#following = undefined;
    });
  }

  async listModels(): Promise<ModelRow[]> {
    return (await listModels(modelsFolder())).map(toRow);
  }

  async fetchModel(name: string, signal: AbortSignal): Promise<ModelRow> {
    const entry = name === "auto" ? await this.#autoEntry() : namedEntry(name);
    const folder = await ensureFolder(modelsFolder());
    const say = (message: string): void => this.#events.notice(message);
    await fetchModel(entry, { folder, signal, onProgress: (progress) => this.#fetching(entry.name, progress), say });
    return this.#row(entry);
  }

  async verifyModel(name: string, signal: AbortSignal): Promise<ModelRow> {
    const entry = namedEntry(name);
    await verifyModel(entry, { folder: modelsFolder(), force: true, signal });
    return this.#row(entry);
  }

  async removeModel(name: string): Promise<null> {
    const entry = namedEntry(name);
    if (this.#model?.open.name === entry.name) {
      if (this.#asked > 0) throw new QuireError("busy", `${entry.name} is in use.`, { where: entry.name });
      this.#closeModel();
    }
    await removeModel(entry, { folder: modelsFolder() });
    return null;
  }

  /** Lets go of the memory it holds, after what runs; with `models`, of the model too, and of what it knows of texts. */
  async forgetMemories(models: boolean): Promise<void> {
    this.#following?.abort();
    const nobody = new AbortController().signal;
    await this.#oneAtATime("", nobody, async () => {
      this.#memory?.held.dispose();
      this.#memory = undefined;
      if (!models) return;
      this.#closeModel();
      this.#caches.clear();
    });
  }

  async doctor(): Promise<DoctorReport> {
    return doctorReport(await this.listModels());
  }

  dispose(): void {
    this.#closeModel();
  }

  async #prepare(
    params: { id: string; workspace: Workspace; settings: EngineSettings; mayFetch?: boolean },
    maxTokens: number,
    signal: AbortSignal,
  ): Promise<Ready> {
    const { id, workspace, settings, mayFetch = true } = params;
    const wished = await chooseBackend(settings.backend ?? "auto");
    const cache = this.#cacheFor(workspace);
    this.#events.stage({ id, stage: "collecting" });
    const collected = await collectWorkspace(workspace, cache, signal);
    for (const { folder, by, why } of collected.listedBy) {
      this.#events.log("debug", `${folder} listed by ${by}${why === undefined ? "" : `: ${why}`}`);
    }
    this.#events.log("info", `${collected.files.length} files collected, ${collected.leftOut.length} left out`);
    this.#events.stage({ id, stage: "opening model" });
    const { open, backend } = await this.#openModel(wished, collected, settings, mayFetch, signal);
    const budget = this.#budget(backend, await speedsOn(backend, settings), open, collected, settings, maxTokens);
    this.#events.stage({ id, stage: "tokenizing" });
    const prepared = await prepare(collected, budget.tokens, open, cache, signal);
    return { open, backend, prepared, budget };
  }

  /** The model of these settings, opened where it runs: on `wished`, or on the processor where "auto" finds a GPU too small. */
  async #openModel(
    wished: Backend,
    collected: Collected,
    settings: EngineSettings,
    mayFetch: boolean,
    signal: AbortSignal,
  ): Promise<{ open: OpenModel; backend: Backend }> {
    let backend = wished;
    let choice = await this.#chooseModel(backend, collected, settings);
    const short = await this.#shortage(backend, choice);
    if (short !== undefined) {
      if (settings.backend === "cuda") throw refusal(short);
      backend = processor(short);
      choice = await this.#chooseModel(backend, collected, settings);
    }
    const name = choice.kind === "file" ? choice.path : choice.entry.name;
    const key = `${name} ${settings.threads} ${settings.cpu} ${backend.kind}`;
    if (this.#model?.key === key) return this.#model;
    if (backend.refused !== undefined) {
      this.#sayOnce(`The GPU is not used, the processor answers: ${backend.refused}.`);
    }
    if (settings.model === "auto") this.#sayOnce(choice.reason);
    const path = await modelFile({
      choice,
      mayFetch,
      signal,
      onFetch: (progress) => this.#fetching(name, progress),
      say: (message) => this.#events.notice(message),
    });
    // Packing cannot be stopped: after a cancelled ask it goes on, and the next ask waits for it or takes what it made.
    if (this.#opening !== undefined && this.#opening.key !== key) {
      await abortable(
        this.#opening.opened.catch(() => undefined),
        signal,
      );
    }
    if (this.#model?.key === key) return this.#model;
    this.#opening ??= { key, opened: this.#open(backend, key, path, choice, settings) };
    const open = await abortable(this.#opening.opened, signal);
    return { open, backend };
  }

  async #chooseModel(backend: Backend, collected: Collected, settings: EngineSettings): Promise<ModelChoice> {
    const wanted = settings.tokenBudget === "auto" ? usualBudget : settings.tokenBudget;
    return chooseModel({
      requested: settings.model,
      availableBytes: backend.availableBytes() + this.#heldBytes(backend),
      plannedTokens: Math.min(wanted, estimateWorkspace(collected)),
      tokensPerSecond: (await speedsOn(backend, settings)).tokensPerSecond,
    });
  }

  /** Bytes that would be free on this backend besides if its model were closed. */
  #heldBytes(backend: Backend): number {
    return this.#model?.backend.kind === backend.kind ? this.#model.open.native.info.weightBytes : 0;
  }

  /** Why a GPU cannot hold this model with a little memory; undefined: it can. */
  async #shortage(backend: Backend, choice: ModelChoice): Promise<string | undefined> {
    const { gpu } = backend;
    const { entry, path } = choice.kind === "file" ? { path: choice.path } : { entry: choice.entry };
    if (gpu === undefined || this.#model?.open.name === (entry?.name ?? path)) return undefined;
    const bytes =
      path === undefined
        ? 0
        : await stat(path).then(
            (found) => found.size,
            () => 0,
          );
    const need = entry === undefined ? bytes + overheadBytes : memoryNeed(entry, leastTokens);
    return tooLittle(gpu, backend.availableBytes() + this.#heldBytes(backend), need);
  }

  /** Opens a model's file in place of the one that is open. */
  async #open(
    backend: Backend,
    key: string,
    path: string,
    choice: ModelChoice,
    settings: EngineSettings,
  ): Promise<OpenModel> {
    const beganMs = performance.now();
    this.#closeModel();
    try {
      const open = await openModel(backend.addon, path, { choice, threads: settings.threads, cpu: settings.cpu });
      this.#model = { key, open, backend };
      const { backend: name, threads } = open.native.info;
      const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
      this.#events.log("info", `${open.name} opened in ${seconds} s: ${name}, ${threads} threads`);
      return open;
    } finally {
      this.#opening = undefined;
    }
  }

  #budget(
    backend: Backend,
    speeds: Speeds,
    open: OpenModel,
    collected: Collected,
    settings: EngineSettings,
    maxTokens: number,
  ): Budget {
    const { pageBytes, workBytes } = open.native.info;
    const heldBytes = (this.#memory?.held.tokens ?? 0) * (pageBytes / 16);
    const sized = { name: open.name, geometry: open.file.geometry };
    const speed = speedOf(sized, speeds.tokensPerSecond) ?? 1;
    return chooseBudget({
      requested: settings.tokenBudget,
      context: trainedContext(open.file),
      maxTokens,
      // The weights are in memory already; what is free now is for pages, and for what a GPU works in.
      weightBytes: this.#memory === undefined ? workBytes : 0,
      bytesPerToken: memoryBytesPerToken(sized),
      availableBytes: roomForPages(backend, open.file.geometry.layers, heldBytes),
      readingSeconds: (tokens) => readingSeconds(sized, tokens, speed),
      // Estimates are rough: a fifth more, so that a small repository is never cut by one.
      repositoryTokens: Math.ceil(estimateWorkspace(collected) * 1.2) + 1024,
    });
  }

  /** The memory for these documents, and how many tokens it takes with thread and answer. */
  #memoryFor(settings: EngineSettings, ready: Ready, maxTokens: number): { memory: HeldMemory; contextTokens: number } {
    const { open, backend, prepared, budget } = ready;
    const reading = toReading(settings);
    const shape: MemoryShape = {
      summary: settings.selection.summary,
      rope: { factor: budget.ropeFactor, originalContext: trainedContext(open.file) },
      ...(reading === undefined ? {} : { reading }),
    };
    const key = JSON.stringify([this.#model?.key, shape]);
    const asked = { settings: JSON.stringify(settings), maxTokens };
    const least = contextFor(budget.tokens, maxTokens) - budget.tokens;
    const pages = pagesOf(prepared.documents);
    const sized = (memory: HeldMemory) => {
      const free = memory.capacityPages - pages - memory.brokenPages - 1;
      const room = Math.max(least, Math.min(budget.contextTokens, free * 16));
      return { memory, contextTokens: Math.max(Math.min(budget.contextTokens, prepared.usedTokens + room), least) };
    };
    if (this.#memory?.key === key && this.#memory.held.fits(prepared.documents, least)) {
      this.#memory.asked = asked;
      return sized(this.#memory.held);
    }
    this.#memory?.held.dispose();
    this.#memory = undefined;
    // Room for files to grow, and for the rounding of each document to whole pages.
    const tailPages = pagesFor(budget.contextTokens - budget.tokens);
    const held = new HeldMemory(backend.addon, open.native, shape, Math.ceil(pages * 1.1) + tailPages + 64);
    this.#memory = { key, held, asked };
    return sized(held);
  }

  /** Where this memory is kept on disk, if it is. */
  async #storeFor(
    { open, backend }: Ready,
    shape: MemoryShape,
    fresh: boolean,
    signal: AbortSignal,
  ): Promise<MemoryStore | undefined> {
    const cap = memoryCap();
    if (cap === 0) return undefined;
    const { backend: name, pageBytes } = open.native.info;
    const modelHash = await fileHash(open.file.path, { folder: await ensureFolder(modelsFolder()), signal });
    const { summary, rope, reading } = shape;
    const { abi } = backend.addon.Memory;
    return new MemoryStore(
      { abi, modelHash, geometry: open.file.geometry, rope, summary, backend: name, ...(reading && { reading }) },
      { folder: memoriesFolder(), cap, pageBytes, fresh, say: (message) => this.#sayOnce(message) },
    );
  }

  /** What an editor holds changes with every key that is pressed; it names no other workspace. */
  #cacheKey({ unsaved: _, ...workspace }: Workspace): string {
    return JSON.stringify(workspace);
  }

  #cacheFor(workspace: Workspace): PrepareCache {
    const key = this.#cacheKey(workspace);
    const cache = this.#caches.get(key) ?? emptyPrepareCache();
    this.#caches.set(key, cache);
    return cache;
  }

  /** Keeps nothing of what was read of a workspace. */
  #forget(workspace: Workspace): void {
    this.#caches.delete(this.#cacheKey(workspace));
    this.#memory?.held.dispose();
    this.#memory = undefined;
  }

  /** Runs `work` after all that was asked before; until then a fired signal ends the waiting at once. */
  async #oneAtATime<Result>(id: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    if (this.#asked > 0) this.#events.stage({ id, stage: "waiting" });
    this.#asked++;
    const before = this.#running;
    let finish = (): void => {};
    const mine = new Promise<void>((resolve) => {
      finish = resolve;
    });
    this.#running = before.then(() => mine);
    try {
      await abortable(before, signal);
      return await work();
    } finally {
      this.#asked--;
      finish();
    }
  }

  #sayOnce(message: string): void {
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#events.notice(message);
  }

  #fetching(name: string, progress: FetchProgress): void {
    if (this.#fetchedFrom !== `${name} ${progress.source}`) {
      this.#fetchedFrom = `${name} ${progress.source}`;
      this.#events.log("info", `fetching ${name} from ${progress.source}`);
    }
    const { source, bytesDone, bytesTotal, bytesPerSecond, secondsLeft } = progress;
    this.#events.fetching({ name, source, bytesDone, bytesTotal, bytesPerSecond, secondsLeft });
  }

  async #autoEntry(): Promise<ModelEntry> {
    const backend = await chooseBackend("auto");
    const choice = chooseModel({
      requested: "auto",
      availableBytes: backend.availableBytes(),
      plannedTokens: usualBudget,
      tokensPerSecond: (await speedsOn(backend, { cpu: "auto", threads: 0 })).tokensPerSecond,
    });
    this.#events.notice(choice.reason);
    return entryOf(choice);
  }

  async #row(entry: ModelEntry): Promise<ModelRow> {
    const [state] = await listModels(modelsFolder(), [entry]);
    if (state === undefined) throw new QuireError("internal", `${entry.name} is not listed.`);
    return toRow(state);
  }

  #closeModel(): void {
    this.#memory?.held.dispose();
    this.#memory = undefined;
    this.#model?.open.native.dispose();
    this.#model = undefined;
    this.#threads = new ThreadRecords(); // ids are another vocabulary's now
  }
}

interface Ready {
  open: OpenModel;
  backend: Backend;
  prepared: Prepared;
  budget: Budget;
}

function speedsOn(backend: Backend, { cpu, threads }: Pick<EngineSettings, "cpu" | "threads">): Promise<Speeds> {
  return knownSpeeds(backend.addon.machine(), cpu, threads, backend.gpu);
}

function entryOf(choice: ModelChoice): ModelEntry {
  if (choice.kind === "catalog") return choice.entry;
  throw new QuireError("unknown-model", "Only models of the catalog can be fetched.", { where: choice.path });
}

function namedEntry(name: string): ModelEntry {
  const entry = findModel(name);
  if (entry !== undefined) return entry;
  const names = catalog.map((model) => model.name).join(", ");
  throw new QuireError("unknown-model", `There is no model named ${JSON.stringify(name)}; known are ${names}.`, {
    where: name,
  });
}

function toRow({ entry, state, path, bytesOnDisk }: ModelState): ModelRow {
  const { name, title, licence, bytes, context } = entry;
  return { name, title, licence, bytes, context, state, path, bytesOnDisk };
}
