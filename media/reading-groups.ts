// reading-groups.ts — what was read, by detail, and what was left out, by reason: counts, tokens, paths. Pure.

import type { PanelReading } from "./messages.ts";

type Detail = PanelReading["documents"][number]["detail"];

export interface DetailGroup {
  detail: Detail;
  title: string;
  files: number;
  tokens: number;
  paths: { path: string; tokens: number }[];
}

export interface ReasonGroup {
  reason: string;
  files: { path: string; detail?: string | undefined }[];
}

/** Details as people say them, most of a file first. */
const details: [Detail, string][] = [
  ["full", "in full"],
  ["outline", "as an outline"],
  ["name", "by name only"],
];

/** Documents by detail, the most tokens of each first; a detail without files has no group. */
export function groupDocuments(documents: PanelReading["documents"]): DetailGroup[] {
  return details.flatMap(([detail, title]) => {
    const own = documents.filter((row) => row.detail === detail).sort((a, b) => b.tokens - a.tokens);
    if (own.length === 0) return [];
    const tokens = own.reduce((sum, row) => sum + row.tokens, 0);
    return [
      { detail, title, files: own.length, tokens, paths: own.map((row) => ({ path: row.path, tokens: row.tokens })) },
    ];
  });
}

/** Files left out by reason, the most common reason first. */
export function groupLeftOut(leftOut: PanelReading["leftOut"]): ReasonGroup[] {
  const groups = new Map<string, ReasonGroup>();
  for (const { path, reason, detail } of leftOut) {
    const group = groups.get(reason) ?? { reason, files: [] };
    group.files.push({ path, detail });
    groups.set(reason, group);
  }
  return [...groups.values()].sort((a, b) => b.files.length - a.files.length || (a.reason < b.reason ? -1 : 1));
}
