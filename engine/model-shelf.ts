// model-shelf.ts — the models that are open in this process, for all clients: each once, closed when no client uses it.
//
// In: what a client's settings ask for. Out: the open model, and where it runs. A client uses one model at a time. It knows no memory:
// who keeps something of a model is told before it is closed.

import { stat } from "node:fs/promises";
import { abortable } from "./abortable.ts";
import { type Backend, processor, refusal, tooLittle } from "./backends.ts";
import type { Collected } from "./collect/types.ts";
import { QuireError } from "./errors.ts";
import { memoryNeed, overheadBytes } from "./models/catalog.ts";
import { chooseModel, type ModelChoice } from "./models/choose.ts";
import type { FetchProgress } from "./models/fetch.ts";
import { modelFile, type OpenModel, openModel } from "./open-model.ts";
import { estimateWorkspace } from "./prepare.ts";
import type { EngineSettings } from "./protocol.ts";
import { knownSpeeds, type Speeds } from "./speed.ts";

export interface Shelved {
  /** Of the model as it was asked for: name or path, threads, instruction set, where it runs. */
  key: string;
  open: OpenModel;
  backend: Backend;
  usedMs: number;
}

/** Who uses a model: a client. Compared by identity. */
export type User = object;

export interface OpenRequest {
  user: User;
  wished: Backend;
  collected: Collected;
  settings: EngineSettings;
  mayFetch: boolean;
  signal: AbortSignal;
  onFetch: (name: string, progress: FetchProgress) => void;
  /** A sentence for the user, which may have been said before. */
  say: (message: string) => void;
  log: (message: string) => void;
}

export interface ShelfDeps {
  /** Called before a model is closed. */
  closing: (model: Shelved) => void;
  /** Bytes that would be free besides if nothing but models were kept on this backend. */
  memoryBytes: (backend: Backend) => number;
}

/** Tokens planned when a model has to be chosen before it is open: what a 32k context takes beside question and answer. */
export const usualBudget = 26_000;
/** A GPU that has no room for a memory of so many tokens is not worth its model. */
const leastTokens = 4_096;

export class ModelShelf {
  readonly #deps: ShelfDeps;
  readonly #models = new Map<string, Shelved>();
  readonly #usedBy = new Map<User, string>();
  #opening: { key: string; opened: Promise<OpenModel> } | undefined;

  constructor(deps: ShelfDeps) {
    this.#deps = deps;
  }

  get all(): readonly Shelved[] {
    return [...this.#models.values()];
  }

  /** The model of these settings, opened where it runs: on `wished`, or on the processor where "auto" finds a GPU too small. */
  async open(request: OpenRequest): Promise<Shelved> {
    const { user, wished, collected, settings, mayFetch, signal } = request;
    let backend = wished;
    let choice = await this.#choose(backend, collected, settings);
    const short = await this.#shortage(backend, choice);
    if (short !== undefined) {
      if (settings.backend === "cuda") throw refusal(short);
      backend = processor(short);
      choice = await this.#choose(backend, collected, settings);
    }
    const name = choice.kind === "file" ? choice.path : choice.entry.name;
    const key = `${name} ${settings.threads} ${settings.cpu} ${backend.kind}`;
    const known = this.#use(user, key);
    if (known !== undefined) return known;
    if (backend.refused !== undefined) request.say(`The GPU is not used, the processor answers: ${backend.refused}.`);
    if (settings.model === "auto") request.say(choice.reason);
    const path = await modelFile({
      choice,
      mayFetch,
      signal,
      onFetch: (progress) => request.onFetch(name, progress),
      say: request.say,
    });
    // Packing cannot be stopped: after a cancelled ask it goes on, and the next ask waits for it or takes what it made.
    if (this.#opening !== undefined && this.#opening.key !== key) {
      await abortable(
        this.#opening.opened.catch(() => undefined),
        signal,
      );
    }
    const meanwhile = this.#use(user, key);
    if (meanwhile !== undefined) return meanwhile;
    this.#opening ??= { key, opened: this.#open(request, backend, key, path, choice) };
    await abortable(this.#opening.opened, signal);
    const opened = this.#use(user, key);
    if (opened === undefined) throw new QuireError("internal", `${name} was closed while it was opened.`);
    return opened;
  }

  /** Who uses the model of this name, besides `user`. */
  isUsedByOthers(name: string, user: User): boolean {
    return [...this.#usedBy].some(([other, key]) => other !== user && this.#models.get(key)?.open.name === name);
  }

  /** The user is gone; its model stays until room is needed. */
  forget(user: User): void {
    this.#usedBy.delete(user);
  }

  /** Closes the models that fit. */
  close(fits: (model: Shelved) => boolean): void {
    for (const model of this.all) {
      if (!fits(model)) continue;
      this.#deps.closing(model);
      model.open.native.dispose();
      this.#models.delete(model.key);
    }
  }

  #use(user: User, key: string): Shelved | undefined {
    const model = this.#models.get(key);
    if (model === undefined) return undefined;
    this.#usedBy.set(user, key);
    model.usedMs = performance.now();
    return model;
  }

  async #choose(backend: Backend, collected: Collected, settings: EngineSettings): Promise<ModelChoice> {
    const wanted = settings.tokenBudget === "auto" ? usualBudget : settings.tokenBudget;
    return chooseModel({
      requested: settings.model,
      // As if nothing were kept: the same choice whatever other clients hold, so that they share one model.
      availableBytes: backend.availableBytes() + this.#weightBytes(backend) + this.#deps.memoryBytes(backend),
      plannedTokens: Math.min(wanted, estimateWorkspace(collected)),
      tokensPerSecond: (await speedsOn(backend, settings)).tokensPerSecond,
    });
  }

  #weightBytes(backend: Backend): number {
    const here = this.all.filter((model) => model.backend.kind === backend.kind);
    return here.reduce((sum, { open }) => sum + open.native.info.weightBytes, 0);
  }

  /** Why a GPU cannot hold this model with a little memory; undefined: it can. */
  async #shortage(backend: Backend, choice: ModelChoice): Promise<string | undefined> {
    const { gpu } = backend;
    const name = choice.kind === "file" ? choice.path : choice.entry.name;
    if (gpu === undefined || this.all.some((model) => model.backend.gpu === gpu && model.open.name === name)) {
      return undefined;
    }
    const held = this.#weightBytes(backend) + this.#deps.memoryBytes(backend);
    return tooLittle(gpu, backend.availableBytes() + held, await needOf(choice));
  }

  /** Opens a model's file, beside those of other clients where there is room. */
  async #open(
    { user, settings, log }: OpenRequest,
    backend: Backend,
    key: string,
    path: string,
    choice: ModelChoice,
  ): Promise<OpenModel> {
    const beganMs = performance.now();
    this.#usedBy.delete(user);
    const used = new Set(this.#usedBy.values());
    this.close((model) => !used.has(model.key));
    const need = await needOf({ kind: "file", path, reason: "" });
    const here = this.all.filter((model) => model.backend.kind === backend.kind).sort((a, b) => a.usedMs - b.usedMs);
    for (const other of here) {
      if (backend.availableBytes() >= need) break;
      log(`${other.open.name} is closed to make room for ${path}`);
      this.close((model) => model === other);
    }
    try {
      const open = await openModel(backend.addon, path, { choice, threads: settings.threads, cpu: settings.cpu });
      this.#models.set(key, { key, open, backend, usedMs: performance.now() });
      const { backend: name, threads } = open.native.info;
      const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
      log(`${open.name} opened in ${seconds} s: ${name}, ${threads} threads`);
      return open;
    } finally {
      this.#opening = undefined;
    }
  }
}

export function speedsOn(backend: Backend, { cpu, threads }: Pick<EngineSettings, "cpu" | "threads">): Promise<Speeds> {
  return knownSpeeds(backend.addon.machine(), cpu, threads, backend.gpu);
}

/** Bytes that a model takes with a little memory. */
async function needOf(choice: ModelChoice): Promise<number> {
  if (choice.kind === "catalog") return memoryNeed(choice.entry, leastTokens);
  const found = await stat(choice.path).catch(() => undefined);
  return (found?.size ?? 0) + overheadBytes;
}
