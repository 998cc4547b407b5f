// choose.ts — candidates to regions: the best first, within the token budget, without overlaps, not all from one file.
//
// Pure. Tokens are counted on the region as it will be shown (renderRegion).

import type { Candidate } from "./rank.ts";
import type { Region } from "./types.ts";

export type TokenCounter = (text: string) => number;

const mostPerFile = 8;
/** What a further region of the same file is worth, compared with the one before. */
const againFactor = 0.85;
/** Below this share of the best score nothing is added. */
const leastShare = 0.08;
/** Regions nearer than this many lines become one. */
const joinedWithin = 3;
const mostRegions = 40;
/** Lines to which a region may be cut. */
const shortest = 3;

/** How a region is put before the question: its path and lines, the definition that it lies in, its text. */
function renderRegion(region: Region): string {
  const within = region.signature === undefined ? "" : `\n${region.signature.text}\n…`;
  return `${region.path}, lines ${region.startLine}-${region.endLine}:${within}\n${region.text}\n`;
}

/** `before` with candidates added while the budget lasts. Candidates come sorted, best first; so do the regions returned. */
export function chooseRegions(
  candidates: readonly Candidate[],
  before: readonly Region[],
  sources: ReadonlyMap<string, readonly string[]>,
  budgetTokens: number,
  countTokens: TokenCounter,
): Region[] {
  let regions = [...before];
  let used = regions.reduce((sum, region) => sum + countTokens(renderRegion(region)), 0);
  const perFile = new Map<string, number>();
  for (const { path } of regions) perFile.set(path, (perFile.get(path) ?? 0) + 1);
  const queue = candidates.map((candidate) => ({ candidate, score: candidate.score }));
  const best = Math.max(candidates[0]?.score ?? 0, 0);
  while (queue.length > 0 && regions.length < mostRegions && used < budgetTokens) {
    let at = 0;
    let top = -1;
    queue.forEach(({ candidate, score }, i) => {
      const now = score * againFactor ** (perFile.get(candidate.path) ?? 0);
      if (now > top) {
        top = now;
        at = i;
      }
    });
    const [next] = queue.splice(at, 1);
    if (next === undefined || top < best * leastShare) break;
    const { candidate } = next;
    if ((perFile.get(candidate.path) ?? 0) >= mostPerFile) continue;
    const merged = fit(candidate, regions, sources.get(candidate.path) ?? [], budgetTokens - used, countTokens);
    if (merged === undefined) continue;
    regions = merged.regions;
    used += merged.added;
    perFile.set(candidate.path, (perFile.get(candidate.path) ?? 0) + 1);
  }
  return regions.sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1) || a.startLine - b.startLine);
}

/** The regions with the candidate, merged with those it touches; shortened towards its focus where it does not fit. */
function fit(
  candidate: Candidate,
  regions: readonly Region[],
  lines: readonly string[],
  room: number,
  countTokens: TokenCounter,
): { regions: Region[]; added: number } | undefined {
  if (lines.length === 0) return undefined;
  const touching = regions.filter(
    ({ path, startLine, endLine }) =>
      path === candidate.path && startLine - joinedWithin <= candidate.end && candidate.start <= endLine + joinedWithin,
  );
  const rest = regions.filter((region) => !touching.includes(region));
  const freed = touching.reduce((sum, region) => sum + countTokens(renderRegion(region)), 0);
  if (touching.some(({ startLine, endLine }) => startLine <= candidate.start && candidate.end <= endLine))
    return undefined;
  for (
    let length = candidate.end - candidate.start + 1;
    length >= shortest || length === candidate.end - candidate.start + 1;
    length = Math.floor(length * 0.7)
  ) {
    const from = Math.max(
      candidate.start,
      Math.min(candidate.focus - Math.floor(length / 3), candidate.end - length + 1),
    );
    const start = Math.min(from, ...touching.map(({ startLine }) => startLine));
    const end = Math.max(from + length - 1, ...touching.map(({ endLine }) => endLine));
    const region = makeRegion(candidate, start, Math.min(end, lines.length), lines, touching);
    const added = countTokens(renderRegion(region)) - freed;
    if (added <= room) return { regions: [...rest, region], added };
    if (length <= Math.max(shortest, candidate.least ?? 0)) break;
  }
  return undefined;
}

function makeRegion(
  candidate: Candidate,
  start: number,
  end: number,
  lines: readonly string[],
  touching: readonly Region[],
): Region {
  const strongest = touching.reduce<Region | undefined>(
    (best, region) => (best === undefined || region.score > best.score ? region : best),
    undefined,
  );
  const outside = candidate.signature > 0 && candidate.signature < start;
  const why =
    strongest !== undefined && strongest.score >= candidate.score
      ? strongest.why
      : [...new Set(candidate.why)].slice(0, 5).join(", ");
  return {
    path: candidate.path,
    startLine: start,
    endLine: end,
    text: lines.slice(start - 1, end).join("\n"),
    ...(outside ? { signature: { line: candidate.signature, text: lines[candidate.signature - 1] ?? "" } } : {}),
    why,
    score: Math.max(candidate.score, strongest?.score ?? 0),
  };
}
