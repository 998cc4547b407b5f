// stoppable.ts — a wait that the user may end, with some patience for what is waited for.

import { stopped } from "./engine-failure.ts";

/** `work`, or "cancelled" some time after an abort (at once by default), with `late` called where it was not heeded till then. */
export function stoppable<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
  patience = 0,
  late = (): void => {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const aborted = (): void => {
      timer = setTimeout(() => {
        late();
        reject(stopped());
      }, patience);
    };
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
    });
  });
}
