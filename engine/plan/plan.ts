// plan.ts — which file gets which detail within the token budget, and in which order they are read. Pure.
//
// In: files with token counts, a budget, and what the previous plan made of them. Out: documents in order, what fell out and why.
// Value decides who gets in: key documents, source, tests, docs, configuration, data; in a class the shorter file first, so that
// more files are whole. Sticky: in a class, what was read in full before goes before what was not, in the order it has in memory, so
// that a new file, a file that grew or a slightly other budget leaves memory as it is. New documents follow, stable-first: what changes rarely before what changes often.

import { QuireError } from "../errors.ts";
import type { Detail } from "../protocol.ts";
import type { FileClass } from "./classify.ts";

export interface PlanInput {
  path: string;
  class: FileClass;
  /** When it last changed, in milliseconds. */
  changedMs: number;
  /** Tokens of the rendered document, exact or estimated. */
  tokens: number;
  /** Tokens of its outline as a document; undefined: it has none. */
  outlineTokens?: number;
  /** What the user asks for; absent: its worth decides. */
  wanted?: Exclude<Detail, "off">;
}

export interface PlannedDocument {
  path: string;
  detail: Exclude<Detail, "off">;
  tokens: number;
}

export interface Plan {
  /** In reading order. Files of detail "name" have no document: they are only in the outline tail. */
  documents: PlannedDocument[];
  leftOut: { path: string; reason: string; detail: string }[];
  /** Tokens of the documents. */
  usedTokens: number;
}

const rank: Readonly<Record<FileClass, number>> = { key: 0, source: 1, test: 2, docs: 3, config: 4, data: 5 };

/** No file may take more than this share of the budget in full: one giant would push out everything else. */
const largestShare = 0.5;

/** Paths of the last plan's documents, in order, with their detail. */
export type Previous = ReadonlyMap<string, PlannedDocument["detail"]>;

/** Most valuable first: by class, then what was read before, in full as it was ordered, then the shorter. */
function byValue(previous: Previous): (a: PlanInput, b: PlanInput) => number {
  const full = [...previous].filter(([, detail]) => detail === "full").map(([path]) => path);
  const places = new Map(full.map((path, place) => [path, place]));
  const placeOf = ({ path }: PlanInput): number =>
    places.get(path) ?? (previous.has(path) ? full.length : full.length + 1);
  return (a, b) =>
    Number(b.wanted === "full") - Number(a.wanted === "full") ||
    rank[a.class] - rank[b.class] ||
    placeOf(a) - placeOf(b) ||
    a.tokens - b.tokens ||
    (a.path < b.path ? -1 : 1);
}

/**
 * Plans. `budget` is for the documents alone: prologue and outline tail are taken off before. `previous` is what the last plan
 * came to. Every file is either a document or left out; planning again with the result changes nothing. Throws "budget-too-small" when there are files and not even one fits in any form.
 */
export function plan(files: readonly PlanInput[], budget: number, previous: Previous = new Map()): Plan {
  const chosen = new Map<string, PlannedDocument>();
  let used = 0;
  const take = (file: PlanInput, detail: PlannedDocument["detail"], tokens: number): boolean => {
    if (used + tokens > budget) return false;
    chosen.set(file.path, { path: file.path, detail, tokens });
    used += tokens;
    return true;
  };
  const sorted = [...files].sort(byValue(previous));
  const outlined = (file: PlanInput): boolean =>
    file.outlineTokens !== undefined && take(file, "outline", file.outlineTokens);
  const mayBeFull = ({ wanted }: PlanInput): boolean => wanted === undefined || wanted === "full";
  const first = (file: PlanInput): boolean => {
    if (file.wanted === "name") return take(file, "name", 0);
    if (file.wanted === "outline") return outlined(file);
    const isGiant = file.tokens > budget * largestShare && file.wanted !== "full";
    return !isGiant && take(file, "full", file.tokens);
  };
  const waiting = sorted.filter((file) => !first(file));
  // A large file still in full when there is room for it and nothing else wanted it; else its outline.
  const unread = waiting.filter((file) => !mayBeFull(file) || !take(file, "full", file.tokens));
  const leftOut: Plan["leftOut"] = [];
  for (const file of unread) {
    if (mayBeFull(file) && (file.class === "source" || file.wanted === "full") && outlined(file)) continue;
    if (file.wanted === "outline" && file.outlineTokens === undefined)
      leftOut.push({ path: file.path, reason: "without an outline", detail: "it has no symbols that Quire finds" });
    else leftOut.push({ path: file.path, reason: "over budget", detail: `${file.tokens} tokens in full` });
  }
  if (files.length > 0 && chosen.size === 0) {
    const least = Math.min(...files.map((file) => file.tokens));
    throw new QuireError("budget-too-small", `No file fits in ${budget} tokens; the smallest has ${least}.`, {
      where: "token-budget",
    });
  }
  return { documents: inOrder(files, chosen, previous), leftOut, usedTokens: used };
}

const byShape = byValue(new Map());

/** Previous documents keep their order; new ones follow, the oldest change first. */
function inOrder(
  files: readonly PlanInput[],
  chosen: ReadonlyMap<string, PlannedDocument>,
  previous: Previous,
): PlannedDocument[] {
  const kept = new Set([...previous.keys()].filter((path) => chosen.has(path)));
  const added = files
    .filter((file) => chosen.has(file.path) && !kept.has(file.path))
    .sort((a, b) => a.changedMs - b.changedMs || byShape(a, b));
  return [...kept, ...added.map((file) => file.path)].flatMap((path) => chosen.get(path) ?? []);
}

/**
 * The files worth counting exactly: the most valuable ones until their estimates make up `factor` budgets, those of the last plan
 * before others of their class. Estimates are rough, so more is counted than can be read.
 */
export function candidates(
  files: readonly PlanInput[],
  budget: number,
  previous: Previous = new Map(),
  factor = 1.6,
): PlanInput[] {
  const chosen: PlanInput[] = [];
  let tokens = 0;
  for (const file of [...files].sort(byValue(previous))) {
    if (tokens > budget * factor) break;
    if (file.tokens > budget * 2 && file.wanted === undefined) continue;
    chosen.push(file);
    if (file.wanted === undefined || file.wanted === "full") tokens += file.tokens;
  }
  return chosen;
}
