// hop-candidates.ts — regions that a question needs though it does not name them: what its best regions and names refer to.
//
// In: regions found so far, the question's terms, outlines. Out: candidates, best first. Reads files through the reader, and searches
// those without an outline.

import { definitionOfLine } from "../definition-line.ts";
import { certainSymbols } from "./named-symbols.ts";
import type { Term } from "./question.ts";
import { type Candidate, isTestPath } from "./rank.ts";
import type { Reader } from "./reader.ts";
import type { Found } from "./search.ts";
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
import type { Definition, LookupDeps, LookupRequest } from "./types.ts";

const namesPerHop = 16;
/** A name declared with more types than this is several things. */
const mostTypes = 3;
/** Lines shown around a member of a type that the question comes to by a declaration. */
const aroundMember = 2;
const mostValues = 3;
const longestValue = 160;

/** Definitions in other files of what the best regions refer to. */
export async function secondHop(
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
    // Tests define small things under every common name.
    const chosen = choosePlaces(region, imports, places, request.question).filter(
      ({ path }) => wanted(path) && (isTestPath(region.path) || !isTestPath(path)),
    );
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

/**
 * Values of `Type.member` as a region uses it: where a question asks for the value of what a call is given, the region has the name
 * and another file the value.
 */
export async function memberValues(
  region: { text: string } | undefined,
  request: LookupRequest,
  reader: Reader,
): Promise<Definition[]> {
  const uses = [...(region?.text ?? "").matchAll(/\b(\p{Lu}[\p{L}\p{N}_]*)\.([\p{L}_][\p{L}\p{N}_]*)\b(?!\s*\()/gu)];
  const values = new Map<string, Definition>();
  for (const [path, { symbols }] of request.outlines) {
    for (const { name: type, line: first, endLine } of symbols) {
      const members = new Set(uses.filter(([, used]) => used === type).map(([, , member]) => member));
      if (members.size === 0) continue;
      const lines = (await reader.lines(path)) ?? [];
      for (let line = first + 1; line <= Math.min(endLine, lines.length); line++) {
        const text = lines[line - 1] ?? "";
        const defined = definitionOfLine(text);
        if (defined?.kind !== "value" || !members.has(defined.name)) continue;
        const name = `${type}.${defined.name}`;
        if (!values.has(name)) values.set(name, { name, path, line, text: text.trim().slice(0, longestValue) });
      }
    }
  }
  return [...values.values()].slice(0, mostValues);
}

/**
 * Members of a type that the question comes to by an attribute: asked for `pop` of what `order` is, and `order` is declared as
 * a SortedSet, these are the lines of SortedSet that define `pop`.
 */
export async function memberCandidates(
  terms: readonly Term[],
  found: Found,
  request: LookupRequest,
  wanted: (path: string) => boolean,
  reader: Reader,
  score: number,
): Promise<Candidate[]> {
  const symbols = certainSymbols(terms);
  if (symbols.length < 2) return [];
  const texts = [...found.hits.values()].flatMap((hits) => hits.map(({ text }) => text));
  const candidates: Candidate[] = [];
  for (const symbol of symbols) {
    const types = new Set(declaredTypes(symbol.said, texts));
    if (types.size === 0 || types.size > mostTypes) continue;
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
