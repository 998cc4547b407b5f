// pace.ts — something that may be wanted often, done at most once in a while: at once when it was quiet, else at the end of
// the interval. The last wish is never lost.

export class Pace {
  readonly #every: number;
  readonly #run: () => void;
  #timer: NodeJS.Timeout | undefined;
  #wanted = false;

  /** @param every milliseconds between two runs, at least */
  constructor(every: number, run: () => void) {
    this.#every = every;
    this.#run = run;
  }

  want(): void {
    if (this.#timer === undefined) this.now();
    else this.#wanted = true;
  }

  /** Runs without waiting; the interval begins anew. */
  now(): void {
    this.dispose();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#wanted) this.now();
    }, this.#every);
    this.#run();
  }

  /** What is still wanted is not run any more. */
  dispose(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wanted = false;
  }
}
