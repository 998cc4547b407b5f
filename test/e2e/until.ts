// until.ts — waits for a condition: asks again, often, until it holds or the time is up. Never sleeps for its own sake.

const every = 50;

/** Long enough for anything but an answer on two cores that others use as well; what works takes a second. */
export const patience = 90_000;

/** The first value of `look` that is neither undefined nor false; what it threw last is in the error when the time is up. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  milliseconds = patience,
): Promise<T> {
  const end = performance.now() + milliseconds;
  let last = "";
  for (;;) {
    try {
      const value = await look();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error instanceof Error ? `; ${error.message}` : "";
    }
    if (performance.now() > end) throw new Error(`${what} did not happen within ${milliseconds / 1000} s${last}`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}
