// client.ts — what one client asks of the engine: questions, plans, and its memory in step with edits, each in its turn.
//
// Holds what is this client's alone: its events, what it was told, its threads, and what was read of its workspaces. Model and memory
// are the engine's, shared with other clients; nothing of another client's workspace is in reach here.

import { chooseBackend, roomForPages } from "./backends.ts";
import { type Budget, chooseBudget, contextFor } from "./budget.ts";
import type { Collected } from "./collect/types.ts";
import { memoryCap } from "./memories/settings.ts";
import { MemoryStore } from "./memories/store.ts";
import type { MemoryShelf } from "./memory-shelf.ts";
import { type ModelShelf, type Shelved, speedsOn } from "./model-shelf.ts";
import { findModel, memoryBytesPerToken } from "./models/catalog.ts";
import { readingSeconds, speedOf } from "./models/choose.ts";
import type { FetchProgress } from "./models/fetch.ts";
import { fileHash } from "./models/files.ts";
import { trainedContext } from "./open-model.ts";
import { ensureFolder, memoriesFolder, modelsFolder } from "./paths.ts";
import { answerQuestion, type PipelineEvents, toReading } from "./pipeline.ts";
import { pagesFor, pagesOf } from "./prefill/documents.ts";
import type { HeldMemory, MemoryShape } from "./prefill/held-memory.ts";
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
  EngineSettings,
  FetchEvent,
  FollowResult,
  MapParams,
  MapResult,
  PlannedEvent,
  Workspace,
} from "./protocol.ts";
import { poseQuestion } from "./question.ts";
import { rememberSpeed, type Speeds } from "./speed.ts";
import type { Turns } from "./turns.ts";
import { rootsOf, workspaceKey } from "./workspace-key.ts";

export interface EngineEvents extends PipelineEvents {
  planned: (event: PlannedEvent) => void;
  fetching: (event: FetchEvent) => void;
}

/** What all clients share. */
export interface Shared {
  turns: Turns;
  models: ModelShelf;
  memories: MemoryShelf;
  /** Somebody asks: what is done while nobody does must stop. */
  asked: () => void;
  /** What was asked is over. */
  answered: () => void;
  /** Memory is about to follow edits: other quiet work must stop. */
  following: () => void;
}

const mapAnswerTokens = 512;

export class Client {
  readonly #shared: Shared;
  readonly #events: EngineEvents;
  readonly #caches = new Map<string, PrepareCache>();
  #threads = { model: "", records: new ThreadRecords() };
  #said = new Set<string>();
  #fetchedFrom = "";

  constructor(shared: Shared, events: EngineEvents) {
    this.#shared = shared;
    this.#events = events;
  }

  /** Answers one question about a workspace. Throws "cancelled" at once when the signal fires, also while it waits for another. */
  ask(params: AskParams, signal: AbortSignal): Promise<AskResult> {
    return this.#inTurn(params.id, signal, async () => {
      const beganMs = performance.now();
      const now = (): number => performance.now();
      if (params.fresh) this.#forget(params.workspace);
      const ready = await this.#prepare(params, params.maxTokens, signal);
      const { open } = ready.model;
      const { prepared, budget } = ready;
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
      const { memory, contextTokens } = this.#memoryFor(params, ready);
      const store = await this.#storeFor(ready, memory.shape, params, signal);
      memory.store = store;
      if (memory.shape.reading !== undefined) {
        const { pageBudget } = memory.shape.reading;
        this.sayOnce(
          `The repository is read sparsely (reading budget ${pageBudget}): faster, and a little less exact.`,
        );
      }
      const threads = this.#threadsOf(ready.model);
      const result = await answerQuestion(
        { params, model: open, memory, prepared, budget, posed, contextTokens, threads, beganMs, now },
        signal,
        this.#events,
      ).finally(() => open.cache.save());
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
    return this.#inTurn(params.id, signal, async () => {
      const { model, prepared, budget } = await this.#prepare(params, mapAnswerTokens, signal);
      const { open } = model;
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

  /** Brings the memory in step with files that changed, in place, while nobody asks; the signal fires when somebody does. */
  async follow(params: MapParams, signal: AbortSignal): Promise<FollowResult> {
    const nothing = { encodedTokens: 0, seconds: 0 };
    const { turns, memories } = this.#shared;
    const kept = memories.of(this);
    const asked = kept?.users.get(this);
    if (turns.asked > 0 || kept === undefined || asked === undefined || params.settings.exact) return nothing;
    // Other settings may mean another model or budget: that is for the next question to change.
    if (asked.settings !== JSON.stringify(params.settings)) return nothing;
    this.#shared.following();
    const followed = turns.quietly(signal, async () => {
      const ready = await this.#prepare({ ...params, mayFetch: false }, asked.maxTokens, signal);
      if (memories.of(this) !== kept) return nothing;
      const least = contextFor(ready.budget.tokens, asked.maxTokens) - ready.budget.tokens;
      const edits = { beginningsOf: ready.model.open.beginningsOf, reservedPages: pagesFor(least) };
      const outcome = await kept.held.follow(ready.prepared.documents, signal, edits);
      return { encodedTokens: outcome?.prefilledTokens ?? 0, seconds: outcome?.seconds ?? 0 };
    });
    return followed.finally(() => this.#shared.answered());
  }

  /** A line about what the engine does for nobody. */
  log(message: string): void {
    this.#events.log("info", message);
  }

  /** A sentence for the user; each is said once to a client. */
  sayOnce(message: string): void {
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#events.notice(message);
  }

  /** How far the fetching of a model is. */
  fetching(name: string, progress: FetchProgress): void {
    if (this.#fetchedFrom !== `${name} ${progress.source}`) {
      this.#fetchedFrom = `${name} ${progress.source}`;
      this.#events.log("info", `fetching ${name} from ${progress.source}`);
    }
    const { source, bytesDone, bytesTotal, bytesPerSecond, secondsLeft } = progress;
    this.#events.fetching({ name, source, bytesDone, bytesTotal, bytesPerSecond, secondsLeft });
  }

  /** Keeps nothing of what was read of its workspaces. */
  forgetTexts(): void {
    this.#caches.clear();
  }

  /** It is gone. What it asked must have been stopped; model and memory stay until room is needed. */
  dispose(): void {
    this.#shared.models.forget(this);
    this.#shared.memories.forget(this);
    this.forgetTexts();
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
    const model = await this.#shared.models.open({
      user: this,
      wished,
      collected,
      settings,
      mayFetch,
      signal,
      onFetch: (name, progress) => this.fetching(name, progress),
      say: (message) => this.sayOnce(message),
      log: (message) => this.#events.log("info", message),
    });
    const budget = this.#budget(model, await speedsOn(model.backend, settings), collected, settings, maxTokens);
    this.#events.stage({ id, stage: "tokenizing" });
    const prepared = await prepare(collected, budget.tokens, model.open, cache, signal);
    return { model, prepared, budget };
  }

  #budget(
    { open, backend }: Shelved,
    speeds: Speeds,
    collected: Collected,
    settings: EngineSettings,
    maxTokens: number,
  ): Budget {
    const { memories } = this.#shared;
    const sized = { name: open.name, geometry: open.file.geometry };
    const speed = speedOf(sized, speeds.tokensPerSecond) ?? 1;
    const isRead = memories.all.some(({ model }) => model.open === open);
    return chooseBudget({
      requested: settings.tokenBudget,
      context: trainedContext(open.file),
      maxTokens,
      // The weights are in memory already; what is free now is for pages, and for what a GPU works in.
      weightBytes: isRead ? 0 : open.native.info.workBytes,
      bytesPerToken: memoryBytesPerToken(sized),
      // Memories of others make room where need be.
      availableBytes: roomForPages(backend, open.file.geometry.layers, memories.bytesOn(backend)),
      readingSeconds: (tokens) => readingSeconds(sized, tokens, speed),
      // Estimates are rough: a fifth more, so that a small repository is never cut by one.
      repositoryTokens: Math.ceil(estimateWorkspace(collected) * 1.2) + 1024,
    });
  }

  /** The memory for these documents, and how many tokens it takes with thread and answer. */
  #memoryFor(
    { workspace, settings, maxTokens }: AskParams,
    ready: Ready,
  ): { memory: HeldMemory; contextTokens: number } {
    const { model, prepared, budget } = ready;
    const reading = toReading(settings);
    const pages = pagesOf(prepared.documents);
    const least = contextFor(budget.tokens, maxTokens) - budget.tokens;
    const memory = this.#shared.memories.take({
      user: this,
      workspace: workspaceKey(workspace),
      roots: rootsOf(workspace),
      model,
      shape: {
        summary: settings.selection.summary,
        rope: { factor: budget.ropeFactor, originalContext: trainedContext(model.open.file) },
        ...(reading === undefined ? {} : { reading }),
      },
      budget: settings.tokenBudget,
      asked: { settings: JSON.stringify(settings), maxTokens },
      fits: (held) => held.fits(prepared.documents, least),
      // Room for files to grow, and for the rounding of each document to whole pages.
      pages: Math.ceil(pages * 1.1) + pagesFor(budget.contextTokens - budget.tokens) + 64,
    });
    const free = memory.capacityPages - pages - memory.brokenPages - 1;
    const room = Math.max(least, Math.min(budget.contextTokens, free * 16));
    return { memory, contextTokens: Math.max(Math.min(budget.contextTokens, prepared.usedTokens + room), least) };
  }

  /** Where this memory is kept on disk, if it is. */
  async #storeFor(
    { model: { open, backend } }: Ready,
    shape: MemoryShape,
    { fresh, workspace }: AskParams,
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
      {
        folder: memoriesFolder(),
        cap,
        pageBytes,
        fresh,
        workspace: rootsOf(workspace),
        model: open.name,
        say: (message) => this.sayOnce(message),
      },
    );
  }

  /** Token ids of its threads, which are another vocabulary's with another model. */
  #threadsOf({ key }: Shelved): ThreadRecords {
    if (this.#threads.model !== key) this.#threads = { model: key, records: new ThreadRecords() };
    return this.#threads.records;
  }

  #cacheFor(workspace: Workspace): PrepareCache {
    const key = workspaceKey(workspace);
    const cache = this.#caches.get(key) ?? emptyPrepareCache();
    this.#caches.set(key, cache);
    return cache;
  }

  /** Keeps nothing of what was read of a workspace. */
  #forget(workspace: Workspace): void {
    const key = workspaceKey(workspace);
    this.#caches.delete(key);
    this.#shared.memories.drop((kept) => kept.workspace === key);
  }

  async #inTurn<Result>(id: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const { turns, asked, answered } = this.#shared;
    asked();
    try {
      return await turns.take(signal, (ahead) => this.#events.stage({ id, stage: "waiting", ahead }), work);
    } finally {
      answered();
    }
  }
}

interface Ready {
  model: Shelved;
  prepared: Prepared;
  budget: Budget;
}
