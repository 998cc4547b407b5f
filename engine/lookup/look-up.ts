// look-up.ts — the regions of files that a question needs and memory does not hold.
//
// In: the question, the workspace's files, what memory holds of each, their outlines, a token budget. Out: regions with their
// lines, best first, within the budget; the files that the question names; what it names that is nowhere.
// Reads files and runs ripgrep through its deps. It may not change the memory. The same input gives the same output, unless
// the search met its limits ("complete" says so).

import { readFile } from "node:fs/promises";
import { definitionOfLine } from "../definition-line.ts";
import { chooseRegions, type TokenCounter } from "./choose.ts";
import { namedFiles } from "./named.ts";
import { parseQuestion, type Term } from "./question.ts";
import { raisingLines } from "./raises.ts";
import { type Candidate, isTestPath, matchTerm, rankBlocks, scoreFile, type Weighted, weighTerms } from "./rank.ts";
import { Reader } from "./reader.ts";
import { type Found, type Hit, searchFiles } from "./search.ts";
import {
  calledLines,
  choosePlaces,
  closeOf,
  constantLines,
  declaredTypes,
  definitionStrings,
  type Place,
  placesIn,
  referencesIn,
} from "./second-hop.ts";
import type { Definition, LookupFile, LookupRequest, LookupResult, NamedFile, Raise } from "./types.ts";

export interface LookupDeps {
  search: (files: readonly LookupFile[], strings: readonly string[], signal: AbortSignal) => Promise<Found>;
  /** The file as it was collected; rejects where it cannot be read. */
  readText: (file: LookupFile) => Promise<string>;
}

/** Only the best of the matching files are opened. */
const filesOpened = 48;
/** Regions that are looked at for what they refer to. */
const hopsFrom = 3;
/** Share of the budget that the first hop may take before the second has had its turn. */
const firstShare = 0.7;
const namesPerHop = 16;
/** A symbol that the question surely means as one; a capitalised word of running text weighs less: it may be a name of anything. */
const namedSymbol = 2.4;
const mostPlaces = 3;
const mostDefinitions = 4;
const longestDefinition = 160;
/** Functions that are searched for what they raise, beside those that the question names. */
const raisingCandidates = 2;
const mostRaises = 6;
/** Lines shown around a member of a type that the question comes to by a declaration. */
const aroundMember = 2;
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
  const found = await deps.search(
    request.files,
    asked.terms.flatMap(({ forms }) => forms),
    signal,
  );
  const missing = [...named.missing, ...(await missingSymbols(asked.terms, found, request, signal, deps))];
  const result = {
    missing,
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
  return { regions, raises, ...result, complete: found.complete };
}

/** What the functions raise that the question names, or that fit it best. */
async function raisesOf(
  definitions: readonly Definition[],
  candidates: readonly Candidate[],
  request: LookupRequest,
  reader: Reader,
): Promise<Raise[]> {
  const fitting = candidates.map(({ path, focus }) => ({ path, line: focus }));
  const raises = new Map<string, Raise>();
  let more = raisingCandidates;
  for (const [index, { path, line }] of [...definitions, ...fitting].entries()) {
    if (more === 0) break;
    const lines = await reader.lines(path);
    if (lines === undefined) continue;
    const block = reader.blocks(path, lines, request.outlines.get(path)?.symbols).at(line);
    if (block.container || block.signature === 0) continue;
    if (index >= definitions.length) more--;
    const name = block.within === "" ? block.name : `${block.within}.${block.name}`;
    for (const raise of raisingLines(block, lines)) raises.set(`${path}:${raise.line}`, { name, path, ...raise });
  }
  return [...raises.values()].slice(0, mostRaises);
}

/**
 * Members of a type that the question comes to by an attribute: asked for `pop` of what `order` is, and `order` is declared as
 * a SortedSet, these are the lines of SortedSet that define `pop`.
 */
async function memberCandidates(
  terms: readonly Term[],
  found: Found,
  request: LookupRequest,
  wanted: (path: string) => boolean,
  reader: Reader,
  score: number,
): Promise<Candidate[]> {
  const symbols = terms.filter(({ kind, weight }) => kind === "symbol" && weight >= namedSymbol);
  if (symbols.length < 2) return [];
  const texts = [...found.hits.values()].flatMap((hits) => hits.map(({ text }) => text));
  const candidates: Candidate[] = [];
  for (const symbol of symbols) {
    const types = new Set(declaredTypes(symbol.said, texts));
    if (types.size === 0 || types.size > mostPlaces) continue;
    const others = new Set(symbols.filter((other) => other !== symbol).map(({ said }) => said));
    for (const [path, outlined] of request.outlines) {
      if (!wanted(path)) continue;
      for (const type of outlined.symbols.filter(({ name, line, endLine }) => types.has(name) && endLine > line)) {
        const lines = (await reader.lines(path)) ?? [];
        for (let line = type.line + 1; line <= Math.min(type.endLine, lines.length); line++) {
          const member = definitionOfLine(lines[line - 1] ?? "")?.name;
          if (member === undefined || !others.has(member)) continue;
          candidates.push({
            path,
            start: Math.max(type.line, line - aroundMember),
            end: Math.min(type.endLine, line + aroundMember),
            focus: line,
            signature: type.line,
            score,
            why: [`${symbol.said} is a ${type.name}`, member],
          });
        }
      }
    }
  }
  return candidates;
}

/**
 * Definitions of the symbols that the question names; one defined in many places is told apart by none of them. A name written as
 * the question writes it goes before others, a function or type before constants and values.
 */
function definitionsOf(terms: readonly Term[], found: Found, tests: boolean): Definition[] {
  const definitions: Definition[] = [];
  for (const { said, kind, weight, forms } of terms) {
    if (kind !== "symbol" || weight < namedSymbol) continue;
    const places: (Definition & { strong: boolean })[] = [];
    for (const [path, hits] of [...found.hits].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (!tests && isTestPath(path)) continue;
      for (const { line, text } of hits) {
        const defined = definitionOfLine(text);
        if (defined === undefined || !forms.includes(defined.name.toLowerCase())) continue;
        // A local variable defines nothing that one would ask for.
        if (defined.kind === "value" && (defined.name !== said || /^\s{5}|^\t\t/.test(text))) continue;
        const strong = defined.kind !== "value" && defined.kind !== "constant";
        places.push({ name: defined.name, path, line, text: text.trim().slice(0, longestDefinition), strong });
      }
    }
    const chosen = preferred(
      preferred(places, ({ name }) => name === said),
      ({ strong }) => strong,
    );
    if (chosen.length <= mostPlaces)
      definitions.push(...chosen.map(({ name, path, line, text }) => ({ name, path, line, text })));
    if (definitions.length >= mostDefinitions) break;
  }
  return definitions.slice(0, mostDefinitions);
}

/** Those that fit, if any do; else all. */
function preferred<Item>(items: readonly Item[], fits: (item: Item) => boolean): readonly Item[] {
  const fitting = items.filter(fits);
  return fitting.length > 0 ? fitting : items;
}

/** Symbols of the question that no file has; asked again on their own, since a busy file may have hidden them. */
async function missingSymbols(
  terms: readonly Term[],
  found: Found,
  request: LookupRequest,
  signal: AbortSignal,
  deps: LookupDeps,
): Promise<string[]> {
  const symbols = terms.filter(({ kind, weight }) => kind === "symbol" && weight >= namedSymbol);
  const unseen = (terms: readonly Term[], hits: ReadonlyMap<string, readonly Hit[]>): Term[] => {
    const left = new Set(terms);
    for (const lines of hits.values()) {
      for (const { text } of lines) {
        const lower = text.toLowerCase();
        for (const term of left) if (matchTerm(term, lower, text) >= 1) left.delete(term);
      }
      if (left.size === 0) break;
    }
    return [...left];
  };
  const first = unseen(symbols, found.hits);
  if (first.length === 0) return [];
  const again = await deps.search(
    request.files,
    first.flatMap(({ forms }) => forms),
    signal,
  );
  if (!again.complete) return [];
  const absent = unseen(first, again.hits).filter(
    ({ forms }) => !request.files.some(({ path }) => path.toLowerCase().includes(forms[0] ?? "\n")),
  );
  // `a.b` as a whole may be written otherwise: it is missing where its last part is, and stands for its parts.
  const names = absent.map(({ said }) => said);
  const parts = new Map(names.map((said) => [said, said.split(/\.|::|->|#/)]));
  const partsOf = (said: string): string[] => parts.get(said) ?? [];
  const missing = names.filter((said) => partsOf(said).length === 1 || names.includes(partsOf(said).at(-1) ?? ""));
  return missing.filter((said) => !missing.some((other) => other !== said && partsOf(other).includes(said)));
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

/** Definitions in other files of what the best regions refer to. */
async function secondHop(
  from: readonly { path: string; startLine: number; endLine: number; text: string; score: number }[],
  sources: ReadonlyMap<string, readonly string[]>,
  request: LookupRequest,
  wanted: (path: string) => boolean,
  reader: Reader,
  signal: AbortSignal,
  deps: LookupDeps,
): Promise<Candidate[]> {
  const names = [...new Set(from.flatMap(({ text }) => referencesIn(text, namesPerHop)))];
  if (names.length === 0) return [];
  const places: Place[] = [];
  const wantedNames = new Set(names);
  for (const [path, { symbols }] of request.outlines) {
    for (const { name, line } of symbols) if (wantedNames.has(name)) places.push({ path, line, name });
  }
  const bare = request.files.filter(({ path }) => !request.outlines.has(path));
  if (bare.length > 0)
    places.push(...placesIn((await deps.search(bare, definitionStrings(names), signal)).hits, names));
  const candidates = new Map<string, Candidate>();
  for (const [rank, region] of from.entries()) {
    const own = sources.get(region.path) ?? [];
    for (const line of constantLines(region, own)) {
      const why = [`${region.path} uses ${definitionOfLine(own[line - 1] ?? "")?.name ?? "it"}`];
      candidates.set(`${region.path}:${line}`, {
        path: region.path,
        start: line,
        end: closeOf(own, line),
        focus: line,
        signature: 0,
        score: region.score * 0.6,
        why,
      });
    }
    const ownBlocks = reader.blocks(region.path, own, request.outlines.get(region.path)?.symbols);
    for (const line of calledLines(region, own)) {
      const block = ownBlocks.at(line);
      const key = `${region.path}:${block.start}`;
      if (candidates.has(key)) continue;
      const why = [`${region.path} uses ${block.name}`];
      const end = Math.min(block.end, block.start + 60);
      candidates.set(key, {
        path: region.path,
        start: block.start,
        end,
        focus: line,
        signature: block.signature,
        score: (region.score * 0.3) / (1 + rank),
        why,
      });
    }
    const imports = own.filter((line) => /\b(?:import|require|include|use|using|from)\b/.test(line)).join("\n");
    const chosen = choosePlaces(region, imports, places, request.question).filter(({ path }) => wanted(path));
    for (const [i, { path, line, name }] of chosen.slice(0, 6).entries()) {
      const lines = await reader.lines(path);
      if (lines === undefined || line > lines.length) continue;
      const block = reader.blocks(path, lines, request.outlines.get(path)?.symbols).at(line);
      const end = block.container || block.end - block.start > 60 ? Math.min(block.end, line + 24) : block.end;
      const key = `${path}:${block.start}`;
      const score = (region.score * 0.5) / (1 + rank + i);
      if ((candidates.get(key)?.score ?? -1) >= score) continue;
      candidates.set(key, {
        path,
        start: block.start,
        end,
        focus: line,
        signature: block.signature,
        score,
        why: [`${region.path} uses ${name}`],
      });
    }
  }
  return [...candidates.values()].sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1) || a.start - b.start);
}
