// abortable.ts — waiting that ends when a signal fires, whatever happens to what was waited for. Uses nothing but errors.ts.

import { QuireError } from "./errors.ts";

/** The promise's outcome, or "cancelled" as soon as the signal fires; what was begun goes on unobserved. */
export function abortable<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new QuireError("cancelled", "Stopped."));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
