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

/** Told to name a file in every sentence, small models name any; cite finds the places of an explanation by itself. */
const explaining = "Explain in two to four sentences, from what was looked up for this question.";

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

export interface KnownDefinition {
  name: string;
  path: string;
  line: number;
  text: string;
}

/** What a search of the whole repository says about the question's names. */
export interface Findings {
  definitions: readonly KnownDefinition[];
  /** Lines which raise an error, of functions that the question is about. */
  raises: readonly KnownDefinition[];
  missing: readonly string[];
  /** The question asks for an explanation. */
  explains?: boolean;
}

/**
 * What follows the documents: regions added for the question, what a search found or did not find of the names in it, the code
 * selected for it (renderSelection), and the question. Small models read what is last; told of nothing, they invent what they are asked for, every time.
 */
export function renderQuestion(
  question: string,
  regions: readonly string[],
  findings: Findings,
  selection = "",
): string {
  const added =
    regions.length === 0 ? "" : `More of the repository, looked up for this question:\n\n${regions.join("")}`;
  const defined = findings.definitions.map(
    ({ name, path, line, text }) =>
      `Note: \`${inline(name)}\` is defined in ${shownPath(path)}, line ${line}: ${inline(text)}\n`,
  );
  const raised = findings.raises.map(
    ({ name, path, line, text }) => `Note: \`${inline(name)}\` in ${shownPath(path)}, line ${line}: ${inline(text)}\n`,
  );
  const names = findings.missing.slice(0, mostMissing).map((name) => `\`${inline(name).slice(0, 80)}\``);
  const verb = names.length === 1 ? "does" : "do";
  const absent = names.length === 0 ? "" : `Note: ${names.join(", ")} ${verb} not occur anywhere in the repository.\n`;
  const reminder = findings.explains === true ? `\n${explaining}` : "";
  return `${added}${defined.join("")}${raised.join("")}${absent}${selection}Question: ${question.trim()}${reminder}`;
}

/** Code that a question is about, as it stands before it. */
export function renderSelection(code: ShownRegion, language: string): string {
  const { path, startLine, endLine, text } = code;
  const fence = fenceFor(text);
  const lines = startLine === endLine ? `line ${startLine}` : `lines ${startLine} to ${endLine}`;
  const body = text.endsWith("\n") ? text : `${text}\n`;
  return `The question is about this code, ${lines} of \`${shownPath(path)}\`:\n${fence}${language}\n${body}${fence}\n\n`;
}

function inline(text: string): string {
  return text.replace(/[`\s]+/g, " ").trim();
}
