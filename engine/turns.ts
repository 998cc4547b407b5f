// turns.ts — one after another: questions and plans of all clients, in the order in which they came.
//
// In: work, with a signal and who wants to know how many are before it. Quiet work, which nobody asked for, takes its turn too but is
// counted by nobody. Knows nothing of what the work is.

import { abortable } from "./abortable.ts";

interface Waiting {
  onAhead: (ahead: number) => void;
}

export class Turns {
  #last: Promise<void> = Promise.resolve();
  /** What was asked and is not over, in order; the first of them runs, or waits for quiet work. */
  readonly #asked: Waiting[] = [];

  /** Questions and plans that run or wait. */
  get asked(): number {
    return this.#asked.length;
  }

  /**
   * Runs `work` after all that came before; a signal that fires until then ends the waiting at once ("cancelled").
   * @param onAhead hears how many are before it, at once and when it gets fewer; never 0
   */
  async take<Result>(
    signal: AbortSignal,
    onAhead: (ahead: number) => void,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const me: Waiting = { onAhead };
    const ahead = this.#asked.length;
    this.#asked.push(me);
    if (ahead > 0) onAhead(ahead);
    try {
      return await this.quietly(signal, work);
    } finally {
      const place = this.#asked.indexOf(me);
      this.#asked.splice(place, 1);
      for (const [before, other] of this.#asked.entries()) if (before >= place && before > 0) other.onAhead(before);
    }
  }

  /** As `take`, for work that nobody waits for. */
  async quietly<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last;
    let finish = (): void => {};
    const mine = new Promise<void>((resolve) => {
      finish = resolve;
    });
    this.#last = before.then(() => mine);
    try {
      await abortable(before, signal);
      return await work();
    } finally {
      finish();
    }
  }
}
