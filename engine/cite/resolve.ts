// resolve.ts — every path, symbol, quoted line and piece of code of an answer, looked up in what was read.
//
// In: the answer and the index of what was read. Out: citations, and the answer with their markers. "verified" means: that
// text stands there. What fits in several places becomes a choice, unless the sentence says which; what an answer presents as a
// path or as code and stands nowhere is marked. Pure; an answer can lead to no path that was not read.

import { CiteIndex, type Spot } from "./cite-index.ts";
import { type Marker, markerOf, withMarkers } from "./markers.ts";
import { findMentions, looksLikeSymbol, type Mention } from "./mentions.ts";
import { bestAlignment } from "./snippets.ts";
import type { Anchor, Citation, Cited, CiteOptions, Place, ReadDocument } from "./types.ts";

/** What fits in more places than this cites none of them. */
const mostChoices = 8;
/** Names that stand for many things; linked only in backticks with a path nearby. */
const commonNames = new Set(
  (
    "get set add put run main init new data value values key keys name names item items list map type types id index size length result results " +
    "error options option config args self this cls test tests text path file files line lines state node next call apply bind close open read write " +
    "start stop update delete remove create load save render parse print log str int bool dict tuple object string number boolean none null true false " +
    "undefined return import export default class function const let var async await yield"
  ).split(" "),
);

interface Resolution {
  mention: Mention;
  /** Best first; empty: found nowhere. */
  spots: { spot: Spot; endLine?: number }[];
  /** The first of `spots` is the one meant. */
  clear: boolean;
  /** The answer presents it as a path or as code. */
  claimed: boolean;
  verified: boolean;
}

interface Context {
  index: CiteIndex;
  mass: ReadonlyMap<string, number>;
  /** Paths meant in each sentence, in each paragraph. */
  sentences: Map<number, Set<string>>;
  paragraphs: Map<number, Set<string>>;
}

/** @param read the index of what was read (createCiteIndex), or the documents themselves */
export function resolveCitations(
  answer: string,
  read: CiteIndex | readonly ReadDocument[],
  options: CiteOptions = {},
): Cited {
  const index = read instanceof CiteIndex ? read : new CiteIndex(read);
  const mentions = findMentions(answer, index.oddPaths);
  const context: Context = { index, mass: options.pageMass ?? new Map(), sentences: new Map(), paragraphs: new Map() };
  const paths = new Map<Mention, string[]>();
  for (const mention of mentions) {
    if (mention.kind !== "path") continue;
    const found = index.pathsOf(mention.said);
    paths.set(mention, found);
    if (found.length > 0 && found.length <= mostChoices) for (const path of found) note(context, mention, path);
  }
  const resolved: Resolution[] = [];
  for (const mention of mentions) {
    if (mention.kind === "path") continue;
    const resolution = resolveText(mention, context);
    if (resolution !== undefined) resolved.push(resolution);
  }
  const bySentence = new Map<number, Resolution[]>();
  for (const one of resolved) {
    if (one.verified && one.spots.length > 0)
      bySentence.set(one.mention.sentence, [...(bySentence.get(one.mention.sentence) ?? []), one]);
  }
  for (const [mention, found] of paths) {
    const resolution = resolvePath(mention, found, bySentence.get(mention.sentence) ?? [], context);
    if (resolution !== undefined) resolved.push(resolution);
  }
  resolved.sort((a, b) => a.mention.start - b.mention.start);
  return number(answer, resolved);
}

function note(context: Context, mention: Mention, path: string): void {
  for (const [map, key] of [
    [context.sentences, mention.sentence],
    [context.paragraphs, mention.paragraph],
  ] as const) {
    const known = map.get(key) ?? new Set<string>();
    known.add(path);
    map.set(key, known);
  }
}

function resolveText(mention: Mention, context: Context): Resolution | undefined {
  if (mention.kind === "block") return resolveBlock(mention, context);
  if (mention.kind === "symbol") return resolveSymbol(mention, context);
  const quote = mention.kind === "quote";
  const spots = context.index.linesWith(mention.said);
  if (spots === undefined || (quote && spots.length === 0)) return undefined;
  const significant = mention.said.replace(/[^\p{L}\p{N}_]/gu, "").length >= 4;
  if (spots.length === 0)
    return significant && mention.presented
      ? { mention, spots: [], clear: false, claimed: true, verified: false }
      : undefined;
  return significant ? rankSpots(mention, spots, context, true) : undefined;
}

function resolveSymbol(mention: Mention, context: Context): Resolution | undefined {
  const { index } = context;
  const bare = mention.said.split(/\.|::|->|#/).pop() ?? mention.said;
  const near = context.sentences.get(mention.sentence) ?? new Set();
  if ((commonNames.has(mention.said.toLowerCase()) || mention.said.length < 3) && !(mention.presented && near.size > 0))
    return undefined;
  const definitions = index.definitionsOf(mention.said);
  const common = commonNames.has(bare.toLowerCase());
  const fitting = common && near.size > 0 ? definitions.filter(({ path }) => near.has(path)) : definitions;
  if (fitting.length > 0) return rankSpots(mention, fitting, context, true);
  if (common && definitions.length > 0) return undefined;
  const uses = mention.said === bare ? index.usesOf(bare) : (index.linesWith(mention.said) ?? []);
  if (uses.length > 0) {
    if (uses.length > 1 && !mention.presented && !uses.some(({ path }) => near.has(path))) return undefined;
    const within = uses.filter(({ path }) => near.has(path));
    const kept = within.length > 0 ? within : uses;
    // Of uses in a file that the sentence names, the first stands for all; without one, only a few are a choice.
    if (within.length === 0 && kept.length > mostChoices / 2) return undefined;
    return rankSpots(mention, within.length > 0 ? within.slice(0, 1) : kept, context, true);
  }
  const claimed = mention.presented && looksLikeSymbol(mention.said) && index.usesOf(bare).length === 0;
  return claimed ? { mention, spots: [], clear: false, claimed: true, verified: false } : undefined;
}

function resolveBlock(mention: Mention, context: Context): Resolution | undefined {
  const found = bestAlignment(mention.said.split(/\r?\n/), context.index, (path) => nearness(path, mention, context));
  if (found === undefined) {
    const shown = /^(?:sh|bash|shell|console|zsh|powershell|text|txt|plaintext|output|diff|mermaid)\b/i.test(
      mention.language ?? "",
    );
    const code = /[\p{L}\p{N}_]{3,}/u.test(mention.said);
    return shown || !code ? undefined : { mention, spots: [], clear: false, claimed: true, verified: false };
  }
  const { places, whole } = found;
  const spots = places.map(({ spot, endLine }) => ({ spot, ...(endLine > spot.line ? { endLine } : {}) }));
  return { mention, spots, clear: places.length === 1, claimed: true, verified: whole };
}

function resolvePath(
  mention: Mention,
  found: readonly string[],
  inSentence: readonly Resolution[],
  context: Context,
): Resolution | undefined {
  const { index } = context;
  if (found.length === 0) {
    if (!mention.presented || index.isFolder(mention.said)) return undefined;
    // `application/json`, `a/b`: only what can be nothing but a file is claimed to be one.
    if (!/\.[\p{L}\p{N}]{1,8}$/u.test(mention.said)) {
      const spots = index.linesWith(mention.said) ?? [];
      return spots.length > 0 && spots.length <= mostChoices ? rankSpots(mention, spots, context, true) : undefined;
    }
    return { mention, spots: [], clear: false, claimed: true, verified: false };
  }
  if (found.length > mostChoices) return undefined;
  const ordered = [...found].sort((a, b) => scorePath(b) - scorePath(a) || (a < b ? -1 : 1));
  function scorePath(path: string): number {
    const shared = inSentence.some(({ spots }) => spots.some(({ spot }) => spot.path === path)) ? 10 : 0;
    return shared + (context.mass.get(path) ?? 0) / (1 + (context.mass.get(path) ?? 0));
  }
  const path = ordered[0] ?? "";
  const clear = found.length === 1 || (scorePath(path) >= 10 && scorePath(ordered[1] ?? "") < 10);
  const here = inSentence.flatMap(({ mention: other, spots }) =>
    spots
      .filter(({ spot }) => spot.path === path)
      .slice(0, 1)
      .map((place) => ({ ...place, other })),
  );
  const given = mention.line === undefined ? undefined : index.lineOf(path, mention.line);
  const first = here.sort((a, b) => distance(a.other, mention) - distance(b.other, mention))[0];
  const others = ordered.slice(1).map((other) => ({ spot: wholeFile(other) }));
  if (mention.line === undefined) {
    const main =
      first === undefined
        ? { spot: wholeFile(path) }
        : { spot: first.spot, ...(first.endLine === undefined ? {} : { endLine: first.endLine }) };
    return { mention, spots: [main, ...others], clear, claimed: true, verified: true };
  }
  // A line number is believed where nothing named in the sentence speaks against it.
  const speaks =
    given !== undefined &&
    (here.length === 0 ||
      here.some(({ other, spot }) => spot.line === given.line || given.text.includes(other.said)) ||
      isWithin(mention, here));
  if (speaks && given !== undefined) {
    const last =
      mention.endLine !== undefined && index.lineOf(path, mention.endLine) !== undefined
        ? { endLine: mention.endLine }
        : {};
    return { mention, spots: [{ spot: given, ...last }, ...others], clear, claimed: true, verified: true };
  }
  if (first !== undefined)
    return { mention, spots: [{ spot: first.spot }, ...others], clear, claimed: true, verified: true };
  return { mention, spots: [{ spot: wholeFile(path) }, ...others], clear, claimed: true, verified: false };
}

/** A range of lines that holds what the sentence names. */
function isWithin(mention: Mention, here: readonly { spot: Spot }[]): boolean {
  const { line, endLine } = mention;
  return (
    line !== undefined && endLine !== undefined && here.some(({ spot }) => spot.line >= line && spot.line <= endLine)
  );
}

function wholeFile(path: string): Spot {
  return { path, line: 0, text: "" };
}

function distance(a: Mention, b: Mention): number {
  return Math.abs(a.start - b.start);
}

/** 2: the sentence names the path; 1: its paragraph does; below 1: its share of attention. */
function nearness(path: string, mention: Mention, context: Context): number {
  if (context.sentences.get(mention.sentence)?.has(path) === true) return 3;
  if (context.paragraphs.get(mention.paragraph)?.has(path) === true) return 2;
  if (context.paragraphs.get(mention.paragraph - 1)?.has(path) === true) return 1;
  return 0;
}

/** Orders places; the first is clear where it is the only one, or the only one that the text around it names. */
function rankSpots(
  mention: Mention,
  spots: readonly Spot[],
  context: Context,
  verified: boolean,
): Resolution | undefined {
  const scored = spots.map((spot) => ({
    spot,
    near: nearness(spot.path, mention, context),
    mass: context.mass.get(spot.path) ?? 0,
    test: isTest(spot.path) ? 1 : 0,
  }));
  scored.sort(
    (a, b) =>
      b.near - a.near ||
      a.test - b.test ||
      b.mass - a.mass ||
      (a.spot.path < b.spot.path ? -1 : a.spot.path > b.spot.path ? 1 : a.spot.line - b.spot.line),
  );
  const best = scored[0];
  if (best === undefined) return undefined;
  const equal = scored.filter(({ near }) => near === best.near);
  const clear = scored.length === 1 || (best.near > 0 && equal.length === 1);
  const kept = best.near > 0 ? equal : scored;
  if (!clear && kept.length > mostChoices) return undefined;
  return { mention, spots: (clear ? [best] : kept).map(({ spot }) => ({ spot })), clear, claimed: true, verified };
}

function isTest(path: string): boolean {
  return /(?:^|[/_.-])(?:tests?|specs?|__tests__|fixtures?|examples?)(?:[/_.-])/i.test(path);
}

/** Gives each place one number and puts the markers into the answer, once for each line of it. */
function number(answer: string, resolved: readonly Resolution[]): Cited {
  const byPlace = new Map<string, Citation>();
  const citations: Citation[] = [];
  const markers: Marker[] = [];
  const marked = new Set<string>();
  let next = 1;
  for (const { mention, spots, clear, verified } of resolved) {
    const anchor: Anchor = { start: mention.start, end: mention.end };
    const main = spots[0];
    const numbered = main !== undefined && verified;
    const key =
      main === undefined ? `? ${mention.said}` : `${verified} ${main.spot.line} ${main.endLine ?? 0} ${main.spot.path}`;
    let citation = byPlace.get(key);
    if (citation === undefined) {
      const choices: Place[] = clear ? [] : spots.map(({ spot }) => ({ path: spot.path, line: spot.line }));
      citation = {
        index: numbered ? next++ : 0,
        path: main?.spot.path ?? "",
        line: main?.spot.line ?? 0,
        ...(main?.endLine === undefined ? {} : { endLine: main.endLine }),
        text: main?.spot.text ?? "",
        verified: numbered,
        anchor,
        mentions: [],
        ...(choices.length > 1 ? { choices } : {}),
      };
      byPlace.set(key, citation);
      citations.push(citation);
    }
    citation.mentions.push(anchor);
    const once = `${key} ${mention.paragraph} ${mention.sentence}`;
    if (marked.has(once)) continue;
    marked.add(once);
    const text = numbered ? `[${citation.index}]` : "[?]";
    markers.push(markerOf(answer, mention, text));
  }
  return { citations, marked: withMarkers(answer, markers) };
}
