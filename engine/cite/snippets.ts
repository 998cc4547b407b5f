// snippets.ts — where a block of code of an answer stands in what was read: the alignment on which most of its lines agree.
//
// In: the block's lines and the index. Out: the places with the most lines in order, and whether all lines stand there. Pure.

import type { CiteIndex, Spot } from "./cite-index.ts";

export interface Aligned {
  /** All with equally many lines, best first. */
  places: { spot: Spot; endLine: number }[];
  /** Every line that says something stands there. */
  whole: boolean;
}

/** A line that stands in more places than this says nothing about where the block is from. */
const mostPlaces = 60;
const mostLines = 200;
/** Blocks of an answer leave lines out: this many may be missing between two that are there. */
const widestGap = 12;

/** Undefined where fewer than half of the lines that say something stand together anywhere. */
export function bestAlignment(
  block: readonly string[],
  index: CiteIndex,
  nearness: (path: string) => number,
): Aligned | undefined {
  const lines = block.slice(0, mostLines).filter((line) => line.replace(/[^\p{L}\p{N}_]/gu, "").length >= 3);
  if (lines.length === 0) return undefined;
  const places = lines.map((line) => index.idsWith(line.trim()) ?? []);
  const starts = new Map<number, { score: number; end: number }>();
  for (const [i, ids] of places.entries()) {
    if (ids.length === 0 || ids.length > mostPlaces) continue;
    for (const id of ids) if (!starts.has(id)) starts.set(id, follow(id, i, places));
    // Later lines only begin an alignment where the first ones are made up.
    if (i >= 4 && starts.size > 0) break;
  }
  const found = [...starts].map(([id, { score, end }]) => ({ id, score, end, spot: index.spot(id), near: 0 }));
  for (const place of found) place.near = nearness(place.spot.path);
  found.sort((a, b) => b.score - a.score || b.near - a.near || a.id - b.id);
  const best = found[0];
  if (best === undefined || best.score * 2 < lines.length) return undefined;
  const seen = new Set<string>();
  const equal = found.filter(({ score, near, spot }) => {
    const key = `${spot.line} ${spot.path}`;
    if (score !== best.score || near !== best.near || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
  if (equal.length > 8) return undefined;
  return {
    places: equal.map(({ spot, end }) => ({ spot, endLine: index.spot(end).line })),
    whole: best.score === lines.length,
  };
}

/** How many of the lines from i on stand in order after a line, without wide gaps. */
function follow(id: number, i: number, places: readonly (readonly number[])[]): { score: number; end: number } {
  let at = id;
  let score = 1;
  for (const ids of places.slice(i + 1)) {
    const next = ids.find((other) => other > at && other <= at + widestGap);
    if (next === undefined) continue;
    at = next;
    score++;
  }
  return { score, end: at };
}
