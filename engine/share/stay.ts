// stay.ts — how long a shared engine stays: until some minutes after its last client, and not at all where it holds nothing.
//
// In: clients that come and go, each with the minutes that it wishes. Out: one call of `leave`.

/** Minutes after the last client, where its user does not say. */
export const usualKeepMinutes = 5;
export const mostKeepMinutes = 1_440;

/** Milliseconds for the first client: whoever started the engine may have been killed meanwhile. */
const firstClientMs = 30_000;
/** An engine that holds neither model nor memory costs nothing to start again. */
const holdsNothingMs = 1_000;

export class Stay {
  readonly #leave: () => void;
  readonly #holds: () => boolean;
  #clients = 0;
  #timer: NodeJS.Timeout | undefined;
  #until = 0;

  /** @param holds whether something would be lost */
  constructor(holds: () => boolean, leave: () => void) {
    this.#holds = holds;
    this.#leave = leave;
    this.#after(firstClientMs);
  }

  came(): void {
    this.#clients++;
    clearTimeout(this.#timer);
  }

  /** @param keepMinutes as the client that goes wishes it; absent: it only looked, and changes nothing */
  left(keepMinutes: number | undefined): void {
    this.#clients--;
    if (keepMinutes !== undefined) {
      const minutes = Math.min(Math.max(keepMinutes, 0), mostKeepMinutes);
      const ms = this.#holds() ? minutes * 60_000 : Math.min(holdsNothingMs, minutes * 60_000);
      this.#until = performance.now() + ms;
    }
    if (this.#clients === 0) this.#after(Math.max(0, this.#until - performance.now()));
  }

  #after(ms: number): void {
    clearTimeout(this.#timer);
    this.#until = performance.now() + ms;
    this.#timer = setTimeout(this.#leave, ms);
  }
}
