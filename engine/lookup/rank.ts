// rank.ts — which blocks of which files answer to the terms, best first.
//
// In: the terms, the matching lines of every file, the text of the best files. Out: candidate regions with scores.
// Pure and deterministic: equal scores are ordered by path and line.
// Method: weights as in BM25 (Robertson & Zaragoza 2009) with the number of lines instead of documents, so that they also tell
// terms apart in a small repository; a definition counts for more than a use, a named path for more than both.

import { definitionOfLine } from "../definition-line.ts";
import { type Block, BlockFinder } from "./blocks.ts";
import type { Asked, Term } from "./question.ts";
import type { Hit } from "./search.ts";
import type { LookupFile, LookupSymbol } from "./types.ts";
import { fileStem, splitWords } from "./words.ts";

export interface Candidate {
  path: string;
  start: number;
  end: number;
  /** The line that counts most: kept where the region must be shortened. */
  focus: number;
  /** Fewer lines of it than this say nothing. */
  least?: number;
  /** Line of the enclosing definition, or 0. */
  signature: number;
  score: number;
  /** What of the question is in it, the weightiest first. */
  why: string[];
}

export interface Weighted {
  term: Term;
  weight: number;
  /** What it is worth in the name of a definition: a word of every other line may be in few names. */
  nameWeight: number;
}

/** Blocks up to this many lines are given whole. */
const wholeBlock = 60;
/** The very word in a name says more than another form of it: "disposable" and isDisposable, not disposeAll. */
const exactWord = 1.6;
/** Least weight of a word within a class that the question names. */
const memberWord = 2.5;
/** The comment at the head of a file, for a question how it works, against a block of its code: at 1.3 a method that happens to be called load went before it. */
const headFactor = 1.7;
const shortestHead = 3;
/** Lines that an explanation has at least, where the block has them. */
const leastExplaining = 8;
const longestHead = 40;
const windowBefore = 4;
const windowAfter = 10;
const widestWindow = 40;
/** A line of code, in bytes, for estimating how many lines the files have. */
const bytesPerLine = 35;
const testPath = /(?:^|[/_.-])(?:tests?|specs?|__tests__|testing|fixtures?|mocks?|e2e|benchmarks?|bench)(?:[/_.-]|$)/i;
const docPath =
  /(?:^|\/)(?:docs?|examples?|changelog|history|changes|license|licence|contributing|readme)[^/]*(?:\/|$)|\.(?:md|mdx|rst|txt|adoc)$/i;

/** How well a line matches a term, from 0 to 1: whole, or only as a part of something. */
export function matchTerm(term: Term, lower: string, line: string): number {
  let best = 0;
  for (const form of term.forms) {
    for (let at = lower.indexOf(form); at >= 0 && best < 1; at = lower.indexOf(form, at + 1)) {
      if (term.kind === "quote") return 1;
      const before = line[at - 1] ?? " ";
      const after = line[at + form.length] ?? " ";
      if (term.kind === "number") {
        if (!/[\p{N}.\p{L}]/u.test(before) && !/[\p{N}\p{L}]/u.test(after)) return 1;
      } else if (term.kind === "symbol") {
        const whole = !/[\p{L}\p{N}_$]/u.test(before) && !/[\p{L}\p{N}_$]/u.test(after);
        best = Math.max(best, whole ? 1 : 0.3);
      } else {
        const begins = !/\p{L}/u.test(before) || (/\p{Ll}/u.test(before) && /\p{Lu}/u.test(line[at] ?? ""));
        best = Math.max(best, begins ? 1 : 0.25);
      }
    }
  }
  return best;
}

/** In fewer files than this a share of them means little. */
const fewFiles = 12;

/** Weight of every term by how rare its lines are, and by whether it stands everywhere. */
export function weighTerms(
  terms: readonly Term[],
  hits: ReadonlyMap<string, readonly Hit[]>,
  files: readonly LookupFile[],
): Weighted[] {
  const counts = terms.map(() => 0);
  const inFiles = terms.map(() => 0);
  const inNames = terms.map(() => 0);
  let names = 0;
  for (const lines of hits.values()) {
    const before = [...counts];
    for (const { text } of lines) {
      const lower = text.toLowerCase();
      terms.forEach((term, i) => {
        counts[i] = (counts[i] ?? 0) + matchTerm(term, lower, text);
      });
      const defined = definitionOfLine(text);
      if (defined === undefined || defined.kind === "value") continue;
      names++;
      const lowerName = defined.name.toLowerCase();
      terms.forEach((term, i) => {
        if (definitionGain(term, lowerName, defined.name) > 0) inNames[i] = (inNames[i] ?? 0) + 1;
      });
    }
    counts.forEach((count, i) => {
      if (count > (before[i] ?? 0)) inFiles[i] = (inFiles[i] ?? 0) + 1;
    });
  }
  // What stands in most files, like the project's own name, tells nothing about where to look.
  const telling = (i: number): number =>
    files.length < fewFiles ? 1 : Math.max(0.05, Math.min(1, 1.5 - (2.5 * (inFiles[i] ?? 0)) / files.length));
  const all = files.reduce((sum, file) => sum + file.bytes, 0) / bytesPerLine;
  return terms.map((term, i) => {
    const weight = telling(i) * term.weight * Math.log(1 + Math.max(50, all) / (1 + (counts[i] ?? 0)));
    return { term, weight, nameWeight: Math.max(weight, term.weight * Math.log(1 + names / (1 + (inNames[i] ?? 0)))) };
  });
}

export function isTestPath(path: string): boolean {
  return testPath.test(path);
}

/** How much a path has to do with the terms: its words and its name, and whether it is a test or a document. */
export function pathFactors(
  path: string,
  weighted: readonly Weighted[],
  wants: Asked["wants"],
): { bonus: number; factor: number; why: string[] } {
  const words = new Set(splitWords(path));
  const name = fileStem(path).toLowerCase();
  let bonus = 0;
  const why: string[] = [];
  for (const { term, weight } of weighted) {
    const inPath = term.forms.some(
      (form) => form === name || [...words].some((word) => word.startsWith(form) && word.length <= form.length + 4),
    );
    if (!inPath) continue;
    bonus += weight * 0.4;
    why.push(term.said);
  }
  let factor = 1;
  if (testPath.test(path) && !wants.tests) factor *= 0.35;
  if (docPath.test(path) && !wants.docs) factor *= 0.4;
  return { bonus, factor, why };
}

/** Score of a whole file from its matching lines alone: which files are worth opening. */
export function scoreFile(
  path: string,
  hits: readonly Hit[],
  weighted: readonly Weighted[],
  wants: Asked["wants"],
): number {
  const sums = weighted.map(() => 0);
  let defined = 0;
  for (const { text } of hits) {
    const lower = text.toLowerCase();
    const definition = definitionOfLine(text);
    const name = definition?.name.toLowerCase();
    weighted.forEach(({ term, weight }, i) => {
      const match = matchTerm(term, lower, text);
      sums[i] = (sums[i] ?? 0) + match;
      if (match > 0 && name !== undefined)
        defined = Math.max(defined, definitionGain(term, name, definition?.name ?? "") * weight);
    });
  }
  const { bonus, factor } = pathFactors(path, weighted, wants);
  return (
    (sums.reduce((sum, tf, i) => sum + (weighted[i]?.weight ?? 0) * (tf / (tf + 1.5)), 0) + defined + bonus) * factor
  );
}

/** Candidates of one file, from its text. */
export function rankBlocks(
  path: string,
  lines: readonly string[],
  hits: readonly Hit[],
  symbols: readonly LookupSymbol[] | undefined,
  weighted: readonly Weighted[],
  wants: Asked["wants"],
): Candidate[] {
  const finder = new BlockFinder(lines, symbols);
  const blocks = new Map<Block, number[]>();
  for (const { line } of hits) {
    if (line > lines.length) continue;
    const block = finder.at(line);
    const own = blocks.get(block) ?? [];
    own.push(line);
    blocks.set(block, own);
  }
  const paths = pathFactors(path, weighted, wants);
  const candidates: Candidate[] = [];
  if (wants.how) {
    const head = headComment(lines);
    const own = hits.filter(({ line }) => line <= head).map(({ line }) => line);
    const block = { start: 1, end: head, signature: 0, name: fileStem(path), within: "", container: false };
    for (const candidate of head === 0 ? [] : scoreBlock(path, lines, block, own, weighted, wants, paths))
      candidates.push({ ...candidate, score: candidate.score * headFactor, focus: 1 });
  }
  for (const [block, own] of blocks) candidates.push(...scoreBlock(path, lines, block, own, weighted, wants, paths));
  return candidates;
}

/** Last line of the comment that a file begins with, where it is long enough to explain something; else 0. */
function headComment(lines: readonly string[]): number {
  let last = 0;
  let inside = false;
  for (const [index, line] of lines.slice(0, longestHead).entries()) {
    const opens = /^\s*(?:\/\*|"""|''')/.test(line);
    const closes = /(?:\*\/|"""|''')\s*$/.test(opens ? line.trim().slice(3) : line);
    if (!inside && !opens && !/^\s*(?:\/\/|#(?!\s*(?:include|define|pragma|if))|--\s|;;)/.test(line)) {
      if (line.trim() !== "") break;
      continue;
    }
    inside = (inside || opens) && !closes;
    last = index + 1;
  }
  return last >= shortestHead ? last : 0;
}

function scoreBlock(
  path: string,
  lines: readonly string[],
  block: Block,
  hitLines: readonly number[],
  weighted: readonly Weighted[],
  wants: Asked["wants"],
  paths: { bonus: number; factor: number; why: string[] },
): Candidate[] {
  const sums = weighted.map(() => 0);
  const assigned = weighted.map(() => 0);
  const byLine = new Map<number, number>();
  let closest = 0;
  for (const line of hitLines) {
    const text = lines[line - 1] ?? "";
    const lower = text.toLowerCase();
    let lineScore = 0;
    let together = 0;
    const valueGains = wants.value ? assignedGains(text, weighted) : noGains;
    weighted.forEach(({ term, weight }, i) => {
      const match = matchTerm(term, lower, text);
      if (match === 0) return;
      sums[i] = (sums[i] ?? 0) + match;
      lineScore += match * weight;
      if (match >= 1) together++;
      const gain = Math.max(lineGain(term, lower, wants), valueGains.get(term) ?? 0);
      assigned[i] = Math.max(assigned[i] ?? 0, gain);
      lineScore += gain * weight;
    });
    // Several words of the question in one line say more than the same words far apart.
    if (together > 1) closest = Math.max(closest, lineScore * (1 - 1 / together));
    byLine.set(line, lineScore * (1 + 0.35 * Math.max(0, together - 1)));
  }
  let score = 0;
  let matched = 0;
  let total = 0;
  let definition = 0;
  const why: { text: string; weight: number }[] = [];
  const size = block.end - block.start + 1;
  // Members of a class that the question names: a word of the question tells them apart however often it stands elsewhere.
  const member = weighted.some(({ term }) => term.kind === "symbol" && term.forms.includes(block.within.toLowerCase()));
  const longer = 0.8 + 0.2 * Math.min(6, size / 25);
  weighted.forEach(({ term, weight: everywhere, nameWeight }, i) => {
    const weight = member && term.kind === "word" ? Math.max(everywhere, term.weight * memberWord) : everywhere;
    total += weight;
    const tf = sums[i] ?? 0;
    const within = block.within === "" ? 0 : definitionGain(term, block.within.toLowerCase(), block.within);
    if (within > 0) score += weight * Math.min(1, within) * 0.6;
    if (tf === 0) {
      matched += within > 0 ? weight * 0.7 : 0;
      return;
    }
    const defined = block.name === "" ? 0 : definitionGain(term, block.name.toLowerCase(), block.name);
    // A question for what a class raises is about one of its members, rarely about its head.
    const named = block.container && wants.raises ? defined * 0.5 : defined;
    definition = Math.max(definition, named);
    matched += weight * Math.min(1, tf);
    const exact = named > 0 && wants.place && splitWords(block.name).includes(term.said.toLowerCase()) ? exactWord : 1;
    const nameGain = named * exact * (wants.place ? Math.max(weight, nameWeight) : weight);
    score += weight * (tf / (tf + 0.8 * longer) + (assigned[i] ?? 0)) + nameGain;
    why.push({ text: named >= 2 ? `defines ${term.said}` : term.said, weight });
  });
  score = ((score + 0.3 * closest) * (0.4 + 0.6 * (total === 0 ? 0 : matched / total)) + paths.bonus) * paths.factor;
  const said = why.sort((a, b) => b.weight - a.weight || (a.text < b.text ? -1 : 1)).map(({ text }) => text);
  if (paths.why.length > 0) said.push(`path has ${paths.why.join(", ")}`);
  const make = (start: number, end: number, part: number, focus: number): Candidate => ({
    path,
    focus,
    start: Math.max(block.start, start),
    end: Math.min(block.end, end),
    signature: block.signature,
    score: score * part,
    why: said,
    ...(wants.how ? { least: leastExplaining } : {}),
  });
  if (size <= wholeBlock) return [make(block.start, block.end, 1, definition > 0.9 ? block.signature : peakOf(byLine))];
  return windowsOf(block, byLine, definition > 0.9).map(({ start, end, part, focus }) => make(start, end, part, focus));
}

/** Windows around the matching lines of a large block, each with its share of the block's score. */
function windowsOf(
  block: Block,
  byLine: ReadonlyMap<number, number>,
  named: boolean,
): { start: number; end: number; part: number; focus: number }[] {
  const windows: Map<number, number>[] = [];
  let from = 0;
  let to = 0;
  for (const [line, score] of [...byLine].sort(([a], [b]) => a - b)) {
    const last = windows[windows.length - 1];
    if (last === undefined || line - windowBefore > to + 1 || line - from >= widestWindow) {
      windows.push(new Map([[line, score]]));
      from = line;
    } else {
      last.set(line, score);
    }
    to = line + windowAfter;
  }
  const sumOf = (window: ReadonlyMap<number, number>): number =>
    [...window.values()].reduce((sum, score) => sum + score, 0);
  const most = Math.max(...windows.map(sumOf), 1e-9);
  const parts = windows.map((window) => {
    const lines = [...window.keys()];
    const part = 0.3 + 0.7 * (sumOf(window) / most);
    return {
      start: Math.min(...lines) - windowBefore,
      end: Math.max(...lines) + windowAfter,
      part,
      focus: peakOf(window),
    };
  });
  if (named && block.signature > 0)
    parts.unshift({ start: block.start, end: block.signature + 24, part: 1, focus: block.signature });
  return parts;
}

function peakOf(byLine: ReadonlyMap<number, number>): number {
  let peak = 0;
  let best = -1;
  for (const [line, score] of byLine) {
    if (score > best || (score === best && line < peak)) {
      best = score;
      peak = line;
    }
  }
  return peak;
}

/** A line that gives the term its value, or raises it. */
function lineGain(term: Term, lower: string, wants: Asked["wants"]): number {
  if (term.kind !== "symbol") return 0;
  let gain = 0;
  for (const form of term.forms) {
    const at = lower.indexOf(form);
    if (at < 0) continue;
    const after = lower.slice(at + form.length, at + form.length + 80);
    const before = lower.slice(Math.max(0, at - 24), at);
    if (/^["']?\]?(?:\s*:[^=,;()]{0,50})?\s*=(?!=)/.test(after) || /^["']?\s*:\s/.test(after))
      gain = Math.max(gain, wants.value ? 1 : 0.5);
    if (wants.raises && /(?:raise|throw|new|err\w*|panic!?|reject)[\s(]+(?:new\s+)?(?:[\w.]*\.)?$/.test(before))
      gain = Math.max(gain, 1.2);
  }
  return gain;
}

const noGains: ReadonlyMap<Term, number> = new Map();

/** Words of the question that together make a name which the line gives a value: "follow redirects" and `follow_redirects=False`. */
function assignedGains(line: string, weighted: readonly Weighted[]): ReadonlyMap<Term, number> {
  if (!/[=:]/.test(line)) return noGains;
  const gains = new Map<Term, number>();
  const shown = line.slice(0, 300);
  const names: { name: string; value: string }[] = [];
  for (const match of shown.matchAll(/([\p{L}_$][\p{L}\p{N}_$]*)["']?\]?\s{0,4}(?::[^=,;()]{0,50})?=(?![=>])/gu)) {
    names.push({ name: match[1] ?? "", value: shown.slice(match.index + match[0].length) });
  }
  const key = /^\s*["']?([\p{L}_$][\p{L}\p{N}_$-]*)["']?\s?:\s/u.exec(line);
  if (key !== null) names.push({ name: key[1] ?? "", value: line.slice(key[0].length) });
  for (const { name, value } of names) {
    const parts = splitWords(name);
    const literal = /^\s*(?:-?\d|["'`[{(]|(?:true|false|none|null|undefined)\b)/i.test(value);
    const constant = /^\s*_*\p{Lu}[\p{Lu}\p{N}_]+\b/u.test(value);
    const fits = weighted.filter(
      ({ term }) => term.kind === "word" && parts.some((part) => term.forms.some((form) => part.startsWith(form))),
    );
    if (fits.length < 2 && fits.length < parts.length) continue;
    for (const { term } of fits)
      gains.set(
        term,
        Math.max(
          gains.get(term) ?? 0,
          Math.min(1, fits.length / parts.length) * (literal ? 1.5 : constant ? 0.7 : 0.3),
        ),
      );
  }
  return gains;
}

/** What it is worth that a block with this name is defined here: all of the term, or a part of the name. */
function definitionGain(term: Term, lowerName: string, name: string): number {
  if (term.kind === "symbol") return term.forms.includes(lowerName) ? 2.5 : 0;
  if (term.kind !== "word") return 0;
  const parts = splitWords(name);
  return parts.some((part) => term.forms.some((form) => part.startsWith(form)))
    ? 1 / Math.max(1, Math.sqrt(parts.length) * 0.7)
    : 0;
}
