// reading.ts — what was read, by detail, and what was left out, by reason: counts, tokens, paths. Pure.

import type { PanelReading } from "../media/messages.ts";

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

/** Documents that Quire wrote itself (its instructions, the outline) have such names instead of paths. */
const ownDocument = /^\((?:instructions|outline)\)$/;

/** Files by detail, the most tokens of each first; a detail without files has no group. Quire's own documents are no files. */
export function groupDocuments(documents: PanelReading["documents"]): DetailGroup[] {
  return details.flatMap(([detail, title]) => {
    const own = documents
      .filter((row) => row.detail === detail && !ownDocument.test(row.path))
      .sort((a, b) => b.tokens - a.tokens);
    if (own.length === 0) return [];
    const tokens = own.reduce((sum, row) => sum + row.tokens, 0);
    return [
      { detail, title, files: own.length, tokens, paths: own.map((row) => ({ path: row.path, tokens: row.tokens })) },
    ];
  });
}

/** Tokens of what is in memory besides files: instructions and outline. */
export function ownTokens(documents: PanelReading["documents"]): number {
  return documents.reduce((sum, row) => sum + (ownDocument.test(row.path) ? row.tokens : 0), 0);
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
