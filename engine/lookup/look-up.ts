// look-up.ts — the regions of files that a question needs and memory does not hold.
//
// In: the question, the workspace's files, what memory holds of each, their outlines, a token budget. Out: regions with their
// lines, best first, within the budget; the files that the question names; what it names that is nowhere.
// Reads files and runs ripgrep through its deps. It may not change the memory. The same input gives the same output, unless
// the search met its limits ("complete" says so).

import { readFile } from "node:fs/promises";
import { chooseRegions, type TokenCounter } from "./choose.ts";
import { memberCandidates, memberValues, secondHop } from "./hop-candidates.ts";
import { namedFiles } from "./named.ts";
import { definitionsOf, missingSymbols } from "./named-symbols.ts";
import { parseQuestion } from "./question.ts";
import { raisesOf } from "./raises.ts";
import { type Candidate, rankBlocks, scoreFile, type Weighted, weighTerms } from "./rank.ts";
import { Reader } from "./reader.ts";
import { type Found, searchFiles } from "./search.ts";
import type { LookupDeps, LookupRequest, LookupResult, NamedFile } from "./types.ts";

/** Only the best of the matching files are opened. */
const filesOpened = 48;
/** A shorter question may be a plain phrase of the code. */
const shortestEcho = 16;
/** Regions that are looked at for what they refer to. */
const hopsFrom = 3;
/** Share of the budget that the first hop may take before the second has had its turn. */
const firstShare = 0.7;
/** What scores less than this share of the best is not worth the user's wait. */
const worthReading = 0.25;

export const realLookupDeps: LookupDeps = {
  search: (files, strings, signal) => searchFiles(files, strings, signal),
  readText: async (file) => (await readFile(file.absolutePath, "utf8")).replace(/^\ufeff/, ""),
};

/** Errors: "cancelled", "internal" (ripgrep cannot be started). A file that cannot be read is passed over. */
export async function lookUp(
  request: LookupRequest,
  countTokens: TokenCounter,
  signal: AbortSignal,
  deps: LookupDeps = realLookupDeps,
): Promise<LookupResult> {
  const asked = parseQuestion(request.question);
  const named = namedFiles(asked.paths, request.files, request.inMemory);
  const wanted = (path: string): boolean => request.includeHeld === true || request.inMemory.get(path) !== "full";
  const found = withoutEcho(
    await deps.search(
      request.files,
      asked.terms.flatMap(({ forms }) => forms),
      signal,
    ),
    request.question,
  );
  const missing = [...named.missing, ...(await missingSymbols(asked.terms, found, request, signal, deps))];
  const result = {
    missing,
    explains: asked.wants.how,
    namedFiles: named.files,
    definitions: definitionsOf(asked.terms, found, asked.wants.tests),
  };
  if (request.budgetTokens <= 0) return { regions: [], raises: [], ...result, complete: found.complete };

  const weighted = weighTerms(asked.terms, found.hits, request.files);
  const byPath = new Map(request.files.map((file) => [file.path, file]));
  const reader = new Reader(byPath, signal, deps.readText);
  const namedPaths = new Set(named.files.map(({ path }) => path));
  const order = [...found.hits]
    .filter(([path]) => wanted(path))
    .map(([path, hits]) => ({
      path,
      hits,
      score: scoreFile(path, hits, weighted, asked.wants) * (namedPaths.has(path) ? 3 : 1),
    }))
    .sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1))
    .slice(0, filesOpened);

  const candidates: Candidate[] = [];
  for (const { path, hits } of order) {
    const lines = await reader.lines(path);
    if (lines === undefined) continue;
    for (const candidate of rankBlocks(path, lines, hits, request.outlines.get(path)?.symbols, weighted, asked.wants)) {
      candidates.push(
        namedPaths.has(path)
          ? { ...candidate, score: candidate.score * 3, why: [`${path} is named`, ...candidate.why] }
          : candidate,
      );
    }
  }
  const toWhole = named.files.filter(({ path }) => wanted(path));
  candidates.push(...(await namedCandidates(toWhole, reader, candidates, weighted)));
  const top = Math.max(0, ...candidates.map(({ score }) => score));
  candidates.push(...(await memberCandidates(asked.terms, found, request, wanted, reader, top)));
  candidates.sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1) || a.start - b.start || a.end - b.end);
  const least = (candidates[0]?.score ?? 0) * worthReading;
  const worthy = candidates.findIndex(({ score }) => score < least);
  if (worthy >= 0) candidates.length = worthy;

  const sources = new Map<string, readonly string[]>();
  for (const { path } of candidates) sources.set(path, (await reader.lines(path)) ?? []);
  const first = chooseRegions(candidates, [], sources, request.budgetTokens * firstShare, countTokens);
  const hop = await secondHop(first.slice(0, hopsFrom), sources, request, wanted, reader, signal, deps);
  for (const { path } of hop) sources.set(path, (await reader.lines(path)) ?? []);
  const hopped = chooseRegions(
    hop,
    first,
    sources,
    request.budgetTokens * (candidates.length > first.length ? 0.9 : 1),
    countTokens,
  );
  const regions = chooseRegions(candidates, hopped, sources, request.budgetTokens, countTokens);
  const raises = asked.wants.raises ? await raisesOf(result.definitions, candidates, request, reader) : [];
  if (asked.wants.value && result.definitions.length > 0)
    result.definitions.push(...(await memberValues(first[0], request, reader)));
  return { regions, raises, ...result, complete: found.complete };
}

/** Without the lines that ask the question themselves, as an example or a test does: they answer nothing. */
function withoutEcho(found: Found, question: string): Found {
  const asked = question.trim().toLowerCase();
  if (asked.length < shortestEcho) return found;
  const hits = [...found.hits].map(
    ([path, lines]) => [path, lines.filter(({ text }) => !text.toLowerCase().includes(asked))] as const,
  );
  return { ...found, hits: new Map(hits.filter(([, lines]) => lines.length > 0)) };
}

/** The beginning of a named file that nothing else of the question leads into, and whole small ones. */
async function namedCandidates(
  named: readonly NamedFile[],
  reader: Reader,
  candidates: readonly Candidate[],
  weighted: readonly Weighted[],
): Promise<Candidate[]> {
  const added: Candidate[] = [];
  const top = Math.max(1, ...candidates.map(({ score }) => score), ...weighted.map(({ weight }) => weight));
  for (const { path } of named) {
    const lines = await reader.lines(path);
    if (lines === undefined || lines.length === 0) continue;
    const why = [`${path} is named`];
    const own = candidates.filter((candidate) => candidate.path === path).length;
    if (lines.length <= 120)
      added.push({ path, start: 1, end: lines.length, focus: 1, signature: 0, score: top * 1.01, why });
    else added.push({ path, start: 1, end: 50, focus: 1, signature: 0, score: own === 0 ? top : top * 0.25, why });
  }
  return added;
}
