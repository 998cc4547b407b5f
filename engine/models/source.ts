// source.ts — what every source of model bytes gets and how it reports: paths, progress, failure.
//
// A source appends to the part file until it is whole, or throws. SourceFailure means: this source cannot, try the next one.
// A QuireError ("disk-full", "cancelled") ends the fetch.
import type { ModelEntry } from "./catalog.ts";
import type { ModelPaths } from "./files.ts";
import type { OpenPart } from "./part-file.ts";
import type { askWeb } from "./web.ts";

export interface FetchProgress {
  /** Who delivers: a host's name, or "package index". */
  source: string;
  bytesDone: number;
  bytesTotal: number;
  bytesPerSecond: number;
  /** null before anything arrived. */
  secondsLeft: number | null;
}

export class SourceFailure extends Error {
  /** What the user can do about it. */
  readonly nextStep: string | undefined;
  constructor(message: string, options: { nextStep?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.nextStep = options.nextStep;
  }
}

export interface FetchDeps {
  ask: typeof askWeb;
  /** Bytes that the user may still write in the folder, or undefined where the system does not say. */
  freeBytes(folder: string): Promise<number | undefined>;
  openPart: OpenPart | undefined;
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  /** Command lines, each tried in turn, that start pip. */
  pip: readonly (readonly [string, ...string[]])[];
  /** How long to wait for a connection and an answer's beginning. */
  answerMs: number;
  /** How long to wait for the next bytes. */
  stallMs: number;
}

export interface SourceJob {
  entry: ModelEntry;
  paths: ModelPaths;
  signal: AbortSignal | undefined;
  /** Called with all bytes that are there, in the part file or elsewhere. */
  report(bytesDone: number): void;
  say(message: string): void;
  deps: FetchDeps;
}

/** Turns byte counts into progress with a speed over the last seconds; at most ten reports a second. */
export class Meter {
  readonly #samples: { at: number; bytes: number }[] = [];
  #last = Number.NEGATIVE_INFINITY;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The progress to show now, or undefined if one was shown a moment ago. */
  measure(source: string, bytesDone: number, bytesTotal: number): FetchProgress | undefined {
    const at = this.#now();
    if (at - this.#last < 100 && bytesDone < bytesTotal) return undefined;
    this.#last = at;
    this.#samples.push({ at, bytes: bytesDone });
    while ((this.#samples[0]?.at ?? at) < at - 5_000) this.#samples.shift();
    const oldest = this.#samples[0];
    const seconds = oldest === undefined ? 0 : (at - oldest.at) / 1000;
    const bytesPerSecond = seconds > 0 && oldest !== undefined ? Math.max(0, (bytesDone - oldest.bytes) / seconds) : 0;
    const secondsLeft = bytesPerSecond > 0 ? (bytesTotal - bytesDone) / bytesPerSecond : null;
    return { source, bytesDone, bytesTotal, bytesPerSecond, secondsLeft };
  }
}
