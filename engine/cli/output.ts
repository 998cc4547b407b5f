// output.ts — what the terminal shows: errors, notices, and the progress bars of reading and fetching.
//
// Progress goes to standard error, as a bar where that is a terminal, else as a line now and then.

import cliProgress from "cli-progress";
import { QuireError } from "../errors.ts";
import type { FetchEvent, StageEvent } from "../protocol.ts";

/** Prints the failure with its next step; returns the exit status. */
export function failed(error: unknown, json: boolean): number {
  const failure =
    error instanceof QuireError
      ? error
      : new QuireError("internal", error instanceof Error ? String(error.stack) : String(error));
  if (json) {
    printJson({
      error: { code: failure.code, message: failure.message, where: failure.where, nextStep: failure.nextStep },
    });
  }
  const where = failure.where === undefined || failure.message.includes(failure.where) ? "" : ` (${failure.where})`;
  process.stderr.write(`quire: ${failure.message}${where}\n`);
  if (failure.nextStep !== "") process.stderr.write(`       ${failure.nextStep}\n`);
  return failure.code === "cancelled" ? 130 : 1;
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** A sentence for the user, on standard error. */
export function say(message: string): void {
  process.stderr.write(`${message}\n`);
}

export function duration(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds)) return "?";
  if (seconds < 100) return `${Math.max(0, Math.ceil(seconds))} s`;
  const minutes = Math.floor(seconds / 60);
  return `${minutes} min ${Math.round(seconds - minutes * 60)} s`;
}

export function bytes(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} GB` : `${(count / 1e6).toFixed(0)} MB`;
}

/** Seconds between two lines where there is no terminal. */
const lineEvery = 10;

/** One bar at a time, or lines. */
export class Progress {
  #bar: cliProgress.SingleBar | undefined;
  #title = "";
  #saidAt = 0;

  /** The stages of an ask or a map. */
  stage(event: StageEvent): void {
    if (event.stage === "waiting") {
      const others = event.ahead === 1 ? "another question" : `${event.ahead} other questions`;
      say(`Waiting: the engine answers ${others} first.`);
    }
    if (event.stage !== "reading" && event.stage !== "reading question") {
      if (event.stage === "answering") this.stop();
      return;
    }
    if (event.stage === "reading question" && event.total < 1024) return;
    const title = event.stage === "reading" ? "Reading" : "Question";
    const rate = `${event.tokensPerSecond.toFixed(0)} tokens/s, ${duration(event.secondsLeft)} left`;
    this.#show(title, event.done, event.total, `${event.done} / ${event.total} tokens, ${rate}`);
  }

  fetching(event: FetchEvent): void {
    const rate = `${bytes(event.bytesPerSecond)}/s, ${duration(event.secondsLeft)} left`;
    const text = `${bytes(event.bytesDone)} / ${bytes(event.bytesTotal)}, ${rate}`;
    this.#show(`Fetching ${event.name}`, event.bytesDone, event.bytesTotal, text);
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#title = "";
  }

  #show(title: string, done: number, total: number, text: string): void {
    if (!process.stderr.isTTY) {
      const now = performance.now() / 1000;
      if (title === this.#title && done < total && now - this.#saidAt < lineEvery) return;
      this.#title = title;
      this.#saidAt = now;
      say(`${title}: ${text}`);
      return;
    }
    if (title !== this.#title) {
      this.stop();
      this.#title = title;
      this.#bar = new cliProgress.SingleBar(
        { format: `${title} {bar} {percentage}% {text}`, stream: process.stderr, hideCursor: true, barsize: 24 },
        cliProgress.Presets.shades_classic,
      );
      this.#bar.start(Math.max(1, total), done, { text });
    }
    this.#bar?.update(done, { text });
    if (done >= total) this.stop();
  }
}
