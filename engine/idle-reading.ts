// idle-reading.ts — when a memory that was edited in place is read again: while nobody asks, a document at a time.
//
// In: the memory, a way to have it alone. A document that was read in view of an older text is encoded again, whole, at its place; what
// was renewed stays renewed when a question ends the work, which it does at once. It keeps to half of the processor's time at most: a
// process may lower its threads' priority on Linux, but not raise it again for the next question. Knows no stage and no repository.

import { setTimeout as rest } from "node:timers/promises";

/** A memory as it is renewed (engine/prefill/held-memory.ts). */
export interface Renewable {
  /** Tokens in memory. */
  readonly tokens: number;
  /** Of these, tokens that were encoded in place since it was read; 0: it is as if read just now. */
  readonly patchedTokens: number;
  /** Encodes the next document again; tokens encoded, 0: none is left, or there is no room. Throws "cancelled". */
  renew(signal: AbortSignal, reservedPages: number, pause: (seconds: number) => Promise<void>): Promise<number>;
}

export interface IdleReadingDeps {
  memory(): Renewable | undefined;
  /** Runs the work when nothing else does, and nothing else meanwhile. */
  alone<Result>(work: () => Promise<Result>): Promise<Result>;
  log(message: string): void;
  /** Milliseconds after the last request before it begins. */
  quiet?: number;
}

/** Of a memory's tokens, the share encoded in place beyond which it is worth reading again (docs/edits.md). */
export const renewedShare = 0.15;
/** Long enough for somebody to read an answer and ask on. */
const usualQuiet = 60_000;

export class IdleReading {
  readonly #deps: IdleReadingDeps;
  #timer: NodeJS.Timeout | undefined;
  #stopper: AbortController | undefined;
  #disposed = false;

  constructor(deps: IdleReadingDeps) {
    this.#deps = deps;
  }

  /** A request is over: the quiet time begins anew. Nothing to do where the memory is near enough to a fresh one. */
  wait(): void {
    clearTimeout(this.#timer);
    if (this.#disposed || !isDue(this.#deps.memory())) return;
    this.#timer = setTimeout(() => void this.#run(), this.#deps.quiet ?? usualQuiet);
    this.#timer.unref();
  }

  /** A request comes: what runs is ended, and nothing begins until `wait`. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#stopper?.abort();
  }

  dispose(): void {
    this.#disposed = true;
    this.stop();
  }

  async #run(): Promise<void> {
    const stopper = new AbortController();
    this.#stopper = stopper;
    const { signal } = stopper;
    try {
      const renewed = await this.#deps.alone(() => this.#renew(signal));
      this.#deps.log(`${renewed} tokens read again while nobody asked`);
    } catch (error) {
      // Ended by a request: that is how it should end.
      if (!signal.aborted) this.#deps.log(`reading again while nobody asked failed: ${String(error)}`);
    } finally {
      if (this.#stopper === stopper) this.#stopper = undefined;
    }
  }

  async #renew(signal: AbortSignal): Promise<number> {
    const memory = this.#deps.memory();
    let tokens = 0;
    // A document that takes another's place needs no page more than the two together: none has to be kept free.
    while (memory !== undefined && memory.patchedTokens > 0 && !signal.aborted) {
      const renewed = await memory.renew(signal, 0, (seconds) => pause(seconds, signal));
      if (renewed === 0) break;
      tokens += renewed;
    }
    return tokens;
  }
}

function isDue(memory: Renewable | undefined): boolean {
  return memory !== undefined && memory.patchedTokens > renewedShare * memory.tokens;
}

/** As long as the work took. */
async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await rest(seconds * 1000, undefined, { signal, ref: false });
}
