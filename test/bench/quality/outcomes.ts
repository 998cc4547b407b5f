// outcomes.ts — what became of each item in each way, and the rows that follow from it.
//
// In: outcomes, one for each item and way, in lines of JSON where they were measured elsewhere. Out: a row for each way, held to the
// dense way of the same items. Pure but for reading files.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../results-file.ts";

/** What outcomes share: how and where they were measured. */
export interface Heading {
  model: string;
  tokens: number;
  backend: string;
  made: Row;
}

export interface Outcome {
  context: number;
  item: number;
  kind: string;
  readingBudget: number;
  summary: string;
  pageBudget: number;
  vote: string;
  denseLayers: number;
  /** Every token of the answer is the likeliest one. */
  right: boolean;
  /** −Σ ln p over the answer's tokens, in nats. */
  loss: number;
  tokens: number;
  /** Σ KL to dense over the tokens behind the first, and over how many of them dense and this way like the same token best. */
  kl: number;
  agreed: number;
  attended: number;
  total: number;
  /** Of the attention probability, what the chosen pages would have captured; null where it was not measured. */
  mass: number | null;
}

export interface Measured {
  heading: Heading;
  outcomes: Outcome[];
}

/** The files of lines in a folder: each a heading, then outcomes. A last line that was cut off is left out. */
export function readMeasured(folder: string): Measured[] {
  return readdirSync(folder)
    .filter((name) => /^quality.*\.jsonl$/.test(name))
    .sort()
    .flatMap((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      const [first, ...rest] = text.slice(0, text.lastIndexOf("\n")).split("\n");
      if (first === undefined || first === "") return [];
      return [{ heading: JSON.parse(first) as Heading, outcomes: rest.map((line) => JSON.parse(line) as Outcome) }];
    });
}

const keyOf = (o: Outcome): string => JSON.stringify([o.readingBudget, o.summary, o.pageBudget, o.vote, o.denseLayers]);
const itemOf = (o: Outcome): string => `${o.context} ${o.item}`;
const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

function grouped<T>(values: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const group = groups.get(key(value));
    if (group === undefined) groups.set(key(value), [value]);
    else group.push(value);
  }
  return groups;
}

/** Half the width of a 95 % interval of a mean. */
function halfWidth(values: readonly number[]): number {
  const mean = sum(values) / values.length;
  const variance = sum(values.map((value) => (value - mean) ** 2)) / Math.max(1, values.length - 1);
  return 1.96 * Math.sqrt(variance / values.length);
}

/** Rows of one model and length, of all its contexts together; items that not every way answered are left out. */
function rowsOfLength(all: readonly Measured[]): Row[] {
  const { heading } = all[0] ?? {};
  if (heading === undefined) return [];
  const outcomes = all.flatMap((one) => one.outcomes);
  const ways = grouped(outcomes, keyOf);
  const answered = grouped(outcomes, itemOf);
  const whole = (o: Outcome): boolean => answered.get(itemOf(o))?.length === ways.size;
  const base = new Map([...ways.values()][0]?.filter(whole).map((o) => [itemOf(o), o]));
  const denseRight = sum([...base.values()].map((o) => Number(o.right)));
  const denseLoss = sum([...base.values()].map((o) => o.loss)) / sum([...base.values()].map((o) => o.tokens));
  return [...ways.values()].flatMap((way) => {
    const of = way.filter(whole);
    const [one] = of;
    if (one === undefined) return [];
    const change = of.map((o) => Number(o.right) - Number(base.get(itemOf(o))?.right ?? false));
    const masses = of.flatMap((o) => (o.mass === null ? [] : [o.mass]));
    const later = sum(of.map((o) => o.tokens - 1));
    return [
      {
        bench: "quality",
        model: heading.model,
        tokens: heading.tokens,
        contexts: new Set(of.map((o) => o.context)).size,
        items: of.length,
        reading: one.readingBudget === 0 ? "dense" : "sparse",
        readingBudget: one.readingBudget,
        decode: one.pageBudget === 0 ? "dense" : "sparse",
        pageBudget: one.pageBudget,
        summary: one.summary,
        vote: one.vote,
        denseLayers: one.denseLayers,
        right: sum(of.map((o) => Number(o.right))),
        denseRight,
        gained: change.filter((value) => value > 0).length,
        lost: change.filter((value) => value < 0).length,
        rightPoints: 100 * (sum(change) / of.length),
        rightPointsHalfWidth: 100 * halfWidth(change),
        loss: sum(of.map((o) => o.loss)) / sum(of.map((o) => o.tokens)),
        denseLoss,
        kl: sum(of.map((o) => o.kl)) / later,
        klHalfWidth: halfWidth(of.map((o) => (o.kl * of.length) / later)),
        sameToken: sum(of.map((o) => o.agreed)) / later,
        capturedMass: masses.length === 0 ? null : sum(masses) / masses.length,
        pagesAttended: sum(of.map((o) => o.attended)) / sum(of.map((o) => o.total)),
        backend: heading.backend,
        ...heading.made,
      },
    ];
  });
}

/** A row for each model, length and way. */
export function rowsOf(measured: readonly Measured[]): Row[] {
  const lengths = grouped(measured, ({ heading }) => `${heading.model} ${heading.tokens}`);
  return [...lengths.values()].flatMap(rowsOfLength);
}
