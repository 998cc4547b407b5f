// prompt.ts — the words around the documents: the instruction before them, the question and its additions after them. Pure.

import { fenceFor, shownPath } from "./document.ts";

/** Short and concrete: models of half a billion parameters must follow it. */
export const systemPrompt =
  "You answer questions about a source code repository. Its files follow, each headed by its path. " +
  "Answer only from these files, briefly and exactly. For every claim name the file's path and the symbol in backticks, " +
  "like `src/app.py` and `load_config`. Copy names and values as they stand in the code. " +
  "If the files do not contain what is asked, say only: I don't find that in what I read.";

/** Stands between the template's user header and the first document. */
export const documentsHeading = "Files of the repository:\n\n";

/** Names that are said to be missing, at most. */
const mostMissing = 4;

export interface ShownRegion {
  path: string;
  startLine: number;
  endLine: number;
  text: string;
  signature?: { line: number; text: string };
}

/** A region that was looked up for the question, as it stands before it. */
export function renderRegion(region: ShownRegion, language: string): string {
  const fence = fenceFor(region.text);
  const inside = region.signature === undefined ? "" : `${region.signature.text}\n...\n`;
  const body = region.text.endsWith("\n") ? region.text : `${region.text}\n`;
  return `File: ${shownPath(region.path)} (lines ${region.startLine} to ${region.endLine})\n${fence}${language}\n${inside}${body}${fence}\n\n`;
}

/**
 * What follows the documents: regions added for the question, what a search of the whole repository did not find, and the
 * question. Told of nothing, a small model invents what it is asked for, every time.
 */
export function renderQuestion(question: string, regions: readonly string[], missing: readonly string[]): string {
  const added =
    regions.length === 0 ? "" : `More of the repository, looked up for this question:\n\n${regions.join("")}`;
  const names = missing.slice(0, mostMissing).map((name) => `\`${name.replace(/[`\s]+/g, " ").slice(0, 80)}\``);
  const verb = names.length === 1 ? "does" : "do";
  const absent = names.length === 0 ? "" : `Note: ${names.join(", ")} ${verb} not occur anywhere in the repository.\n`;
  return `${added}${absent}Question: ${question.trim()}`;
}
