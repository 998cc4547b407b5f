// hunks.ts — where two states of a document differ: stretches of tokens, with whole lines that are the same between them. Pure.
//
// In: token ids of both, and which tokens begin a line. Out: stretches in order. Where too much differs to be compared line by line they are
// one stretch, from the first difference to the last.

/** Tokens [heldFrom, heldTo) of the held document became [wantedFrom, wantedTo) of the wanted one. */
export interface Hunk {
  heldFrom: number;
  heldTo: number;
  wantedFrom: number;
  wantedTo: number;
}

/** Fewer tokens than this between two stretches are encoded with them: each stretch costs parts of two pages and the rest of a block. */
const leastBetween = 96;
/** Pairs of lines that are compared at most. */
const mostPairs = 4_000_000;

interface Line {
  start: number;
  end: number;
  text: string;
}

/** @param heldBegins for each token, above 0 where a line begins; likewise wantedBegins. */
export function hunksOf(
  held: Int32Array,
  wanted: Int32Array,
  heldBegins: Uint8Array,
  wantedBegins: Uint8Array,
): Hunk[] {
  const shorter = Math.min(held.length, wanted.length);
  let before = 0;
  while (before < shorter && held[before] === wanted[before]) before++;
  let after = 0;
  while (after < shorter - before && held[held.length - 1 - after] === wanted[wanted.length - 1 - after]) after++;
  const all: Hunk = {
    heldFrom: before,
    heldTo: held.length - after,
    wantedFrom: before,
    wantedTo: wanted.length - after,
  };
  const hunks: Hunk[] = [{ ...all }];
  for (const { a, b, tokens } of sameLines(held, wanted, heldBegins, wantedBegins, all)) {
    const last = hunks.at(-1);
    if (last === undefined || tokens < leastBetween) continue;
    last.heldTo = a;
    last.wantedTo = b;
    hunks.push({ ...all, heldFrom: a + tokens, wantedFrom: b + tokens });
  }
  return hunks;
}

/** Runs of lines that are the same in both, in order: where they begin in either, and their tokens. */
function sameLines(
  held: Int32Array,
  wanted: Int32Array,
  heldBegins: Uint8Array,
  wantedBegins: Uint8Array,
  { heldFrom, heldTo, wantedFrom, wantedTo }: Hunk,
): { a: number; b: number; tokens: number }[] {
  const left = linesOf(held, heldBegins, heldFrom, heldTo);
  const right = linesOf(wanted, wantedBegins, wantedFrom, wantedTo);
  if (left.length * right.length > mostPairs) return [];
  // Longest common subsequence of the lines from (i, j) on, weighed by their tokens.
  const width = right.length + 1;
  const best = new Uint32Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      const [one, other] = [left[i], right[j]];
      const skipped = Math.max(best[(i + 1) * width + j] ?? 0, best[i * width + j + 1] ?? 0);
      const taken =
        one !== undefined && one.text === other?.text ? (best[(i + 1) * width + j + 1] ?? 0) + one.end - one.start : 0;
      best[i * width + j] = Math.max(skipped, taken);
    }
  }
  const runs: { a: number; b: number; tokens: number }[] = [];
  let [i, j] = [0, 0];
  while (i < left.length && j < right.length) {
    const [one, other] = [left[i], right[j]];
    if (one === undefined || other === undefined) break;
    const here = best[i * width + j] ?? 0;
    if (one.text === other.text && here === (best[(i + 1) * width + j + 1] ?? 0) + one.end - one.start) {
      const run = runs.at(-1);
      if (run !== undefined && run.a + run.tokens === one.start && run.b + run.tokens === other.start) {
        run.tokens += one.end - one.start;
      } else runs.push({ a: one.start, b: other.start, tokens: one.end - one.start });
      i++;
      j++;
    } else if (here === (best[(i + 1) * width + j] ?? 0)) i++;
    else j++;
  }
  return runs;
}

/** The whole lines within [from, to). */
function linesOf(tokens: Int32Array, begins: Uint8Array, from: number, to: number): Line[] {
  const starts: number[] = [];
  for (let at = from; at < to; at++) if ((begins[at] ?? 0) > 0) starts.push(at);
  return starts.map((start, index) => {
    const end = starts[index + 1] ?? to;
    return { start, end, text: tokens.subarray(start, end).join() };
  });
}
