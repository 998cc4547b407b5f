// engine.ts — what all clients of one engine process share: open models, memories by workspace, and one question at a time.
//
// In: clients that come and go. Out: for each what it asks (client.ts); who is here and what is held; after a while without questions, the
// GPU's memory. Knows no stage and no way of talking.

import { Client, type EngineEvents, type Shared } from "./client.ts";
import { IdleReading } from "./idle-reading.ts";
import { bytesOf, MemoryShelf } from "./memory-shelf.ts";
import { ModelShelf } from "./model-shelf.ts";
import type { EngineStatus } from "./protocol.ts";
import { Turns } from "./turns.ts";
import { version } from "./version.ts";

export interface EngineOptions {
  /** Of several clients. */
  shared: boolean;
  /** Milliseconds without a question after which models of a kind of backend are closed; a kind that is absent stays open. */
  idleMs?: Partial<Record<"cpu" | "cuda", number>>;
}

interface Named {
  client: Client;
  name: string;
  sinceMs: number;
}

/** A GPU's memory is wanted by others too; what is in it is read again from disk within a second or two. */
const usualIdleMs = { cuda: 5 * 60_000 };

export class Engine {
  readonly #options: EngineOptions;
  readonly #beganMs = performance.now();
  readonly #turns = new Turns();
  readonly #memories = new MemoryShelf();
  readonly #models = new ModelShelf({
    closing: (model) => this.#memories.drop((kept) => kept.model === model),
    memoryBytes: (backend) => this.#memories.bytesOn(backend),
  });
  readonly #clients = new Set<Named>();
  readonly #reading = new IdleReading({
    memory: () => this.#memories.latest?.held,
    alone: (work) => this.#turns.quietly(new AbortController().signal, work),
    log: (message) => {
      for (const { client } of this.#clients) client.log(message);
    },
  });
  #idle: NodeJS.Timeout[] = [];
  /** Stops what is done while nobody asks. */
  #quiet = new AbortController();
  readonly #shared: Shared = {
    turns: this.#turns,
    models: this.#models,
    memories: this.#memories,
    asked: () => this.#asked(),
    answered: () => this.#answered(),
    following: () => this.#reading.stop(),
  };

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** A client has come. It must be told to go by `left`. */
  join(name: string, events: EngineEvents): Client {
    const client = new Client(this.#shared, events);
    this.#clients.add({ client, name, sinceMs: performance.now() });
    return client;
  }

  left(gone: Client): void {
    for (const named of this.#clients) if (named.client === gone) this.#clients.delete(named);
    gone.dispose();
  }

  get models(): ModelShelf {
    return this.#models;
  }

  /** Questions and plans that run or wait. */
  get questions(): number {
    return this.#turns.asked;
  }

  /** Whether anything would have to be made again. */
  get holdsSomething(): boolean {
    return this.#models.all.length > 0 || this.#turns.asked > 0;
  }

  /** Fires when somebody asks: for what is done while nobody does. */
  get quiet(): AbortSignal {
    return this.#quiet.signal;
  }

  /** Lets go of the memories held for all clients, after what runs; with `models`, of the models too, and of what is known of texts. */
  async forgetMemories(models: boolean): Promise<void> {
    this.#asked();
    await this.#turns.quietly(new AbortController().signal, async () => {
      await this.settled();
      this.#memories.drop(() => true);
      if (!models) return;
      this.#models.close(() => true);
      for (const { client } of this.#clients) client.forgetTexts();
    });
  }

  status(): EngineStatus {
    const now = performance.now();
    const seconds = (sinceMs: number): number => Math.round((now - sinceMs) / 1000);
    return {
      engineVersion: version,
      pid: process.pid,
      shared: this.#options.shared,
      upSeconds: seconds(this.#beganMs),
      clients: [...this.#clients].map(({ name, sinceMs }) => ({ name, connectedSeconds: seconds(sinceMs) })),
      questions: this.#turns.asked,
      models: this.#models.all.map(({ open: { name, native } }) => ({
        name,
        backend: native.info.backend,
        bytes: native.info.weightBytes,
      })),
      memories: this.#memories.all.map((kept) => ({
        roots: kept.roots,
        model: kept.model.open.name,
        tokens: kept.held.tokens - kept.held.tailTokens,
        bytes: Math.round(bytesOf(kept)),
      })),
    };
  }

  /** Resolves when all that was read is on the disk. */
  settled(): Promise<void> {
    return this.#memories.settled();
  }

  dispose(): void {
    this.#asked();
    this.#reading.dispose();
    this.#models.close(() => true);
  }

  #asked(): void {
    this.#reading.stop();
    this.#clearIdle();
    this.#quiet.abort();
    this.#quiet = new AbortController();
  }

  #answered(): void {
    if (this.#turns.asked > 0) return;
    this.#reading.wait();
    this.#clearIdle();
    const idleMs = this.#options.idleMs ?? usualIdleMs;
    this.#idle = Object.entries(idleMs).map(([kind, ms]) => {
      const close = async (): Promise<void> => this.#models.close(({ backend }) => backend.kind === kind);
      const giveBack = (): void => void this.#turns.quietly(this.#quiet.signal, close).catch(() => {});
      return setTimeout(giveBack, ms).unref();
    });
  }

  #clearIdle(): void {
    for (const timer of this.#idle) clearTimeout(timer);
    this.#idle = [];
  }
}
