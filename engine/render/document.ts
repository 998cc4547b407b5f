// document.ts — a file as the text that the model reads: its path, then its lines in a code fence. Pure.
//
// Each document is encoded on its own, so that no token crosses files. Line numbers stay outside the text: the map from lines
// to places in it is what citations are resolved with.

import type { Detail } from "../protocol.ts";

export interface RenderedDocument {
  path: string;
  detail: Exclude<Detail, "off">;
  text: string;
  /** For each line of the file that stands in the text: its 1-based number and the offset of its first character. */
  lines: { line: number; offset: number }[];
}

export interface SignatureLine {
  line: number;
  signature: string;
  parent?: string;
}

/** A path as it can stand on a line of its own: quoted where it has line breaks, quotes or blank ends. */
export function shownPath(path: string): string {
  return /[\n\r"`\u0000-\u001f]|^\s|\s$/.test(path) ? JSON.stringify(path) : path;
}

/** A run of backticks longer than any in the text. */
export function fenceFor(text: string): string {
  let longest = 2;
  for (const run of text.matchAll(/`{3,}/g)) longest = Math.max(longest, run[0].length);
  return "`".repeat(longest + 1);
}

/** A whole file. `language` names the fence; it may be empty. */
export function renderFile(path: string, text: string, language: string): RenderedDocument {
  const fence = fenceFor(text);
  const head = `File: ${shownPath(path)}\n${fence}${language}\n`;
  const lines: RenderedDocument["lines"] = [];
  let offset = head.length;
  for (const [index, line] of text.split("\n").entries()) {
    lines.push({ line: index + 1, offset });
    offset += line.length + 1;
  }
  const body = text.endsWith("\n") ? text : `${text}\n`;
  if (text.endsWith("\n")) lines.pop();
  return { path, detail: "full", text: `${head}${body}${fence}\n\n`, lines };
}

/** A file's definitions alone, for files that do not fit whole. */
export function renderOutline(path: string, symbols: readonly SignatureLine[], language: string): RenderedDocument {
  const body = symbols.map((symbol) => `${symbol.parent === undefined ? "" : "  "}${symbol.signature}`);
  const fence = fenceFor(body.join("\n"));
  const head = `File: ${shownPath(path)} (definitions only)\n${fence}${language}\n`;
  const lines: RenderedDocument["lines"] = [];
  let offset = head.length;
  for (const [index, text] of body.entries()) {
    lines.push({ line: symbols[index]?.line ?? 0, offset });
    offset += text.length + 1;
  }
  return { path, detail: "outline", text: `${head}${body.join("\n")}\n${fence}\n\n`, lines };
}
