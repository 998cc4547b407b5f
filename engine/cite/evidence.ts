// evidence.ts — where an answer that names nothing gets its sentences from: the places looked up for it that share their words.
//
// In: an answer without a single citation, the regions that were put before the question. Out: citations and the answer with their
// markers. Pure. A place is given only where most of a sentence's words stand in it: it is a hint where to read on, never a proof.

import { findFences } from "./fences.ts";
import { type Marker, withMarkers } from "./markers.ts";
import type { Citation, Cited, ReadDocument } from "./types.ts";

/** Sentences that get a place. */
const mostCited = 3;
/** Words that a sentence and a region share at least, and their share of the sentence's. */
const leastShared = 4;
const leastShare = 0.4;
const shortestWord = 4;
/** Forms of a word share their beginning: "select", "selected", "selection". */
const stemLength = 5;

function stemsOf(text: string): Set<string> {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  return new Set(words.filter((word) => word.length >= shortestWord).map((word) => word.slice(0, stemLength)));
}

interface Sentence {
  start: number;
  end: number;
  stems: Set<string>;
}

/** Sentences; a line of code is none. */
function sentencesOf(answer: string): Sentence[] {
  const sentences: Sentence[] = [];
  const fences = findFences(answer);
  let start = 0;
  for (const piece of answer.split(/((?<=[.!?])\s+|\n+)/)) {
    const end = start + piece.length;
    const isCode = fences.some((fence) => fence.start < end && start < fence.end);
    if (!isCode && piece.trim() !== "") sentences.push({ start, end, stems: stemsOf(piece) });
    start = end;
  }
  return sentences;
}

interface Region extends ReadDocument {
  stems: Set<string>;
}

/** The region that shares most with a sentence; words that stand in every region count for little. */
function bestRegion(sentence: Sentence, regions: readonly Region[]): Region | undefined {
  let best: Region | undefined;
  let most = 0;
  for (const region of regions) {
    const shared = [...sentence.stems].filter((stem) => region.stems.has(stem));
    if (shared.length < leastShared || shared.length < leastShare * sentence.stems.size) continue;
    const score = shared.reduce((sum, stem) => sum + 1 / regions.filter(({ stems }) => stems.has(stem)).length, 0);
    if (score > most) {
      most = score;
      best = region;
    }
  }
  return best;
}

/** The line of a region, from 0, that shares most with a sentence. */
function bestLine(sentence: Sentence, lines: readonly string[]): number {
  const shared = lines.map((line) => [...stemsOf(line)].filter((stem) => sentence.stems.has(stem)).length);
  return Math.max(0, shared.indexOf(Math.max(...shared)));
}

/** Citations for an answer that has none. `read`: regions in full, best last. */
export function citeEvidence(answer: string, read: readonly ReadDocument[]): Cited {
  const regions = read.filter(({ detail }) => detail === "full").map((one) => ({ ...one, stems: stemsOf(one.text) }));
  const citations: Citation[] = [];
  const markers: Marker[] = [];
  for (const sentence of sentencesOf(answer)) {
    const region = citations.length < mostCited ? bestRegion(sentence, regions) : undefined;
    if (region === undefined) continue;
    const lines = region.text.split(/\r?\n/);
    const best = bestLine(sentence, lines);
    const line = (region.firstLine ?? 1) + best;
    const { start, end } = sentence;
    const known = citations.find((citation) => citation.path === region.path && citation.line === line);
    const citation = known ?? {
      index: citations.length + 1,
      path: region.path,
      line,
      text: lines[best] ?? "",
      verified: true,
      anchor: { start, end },
      mentions: [],
    };
    citation.mentions.push({ start, end });
    if (known === undefined) citations.push(citation);
    markers.push({ at: end, text: ` [${citation.index}]` });
  }
  return { citations, marked: withMarkers(answer, markers) };
}
