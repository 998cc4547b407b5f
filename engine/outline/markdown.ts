// markdown.ts — the headings of a Markdown text as its outline. A grammar would be more than the need: `#` lines outside fences.

import type { Outline, OutlineSymbol } from "./outline.ts";

/** A longer line is no heading. */
const longestHeading = 200;

/** The headings in order, each up to the next one. Linear in the text's length. */
export function markdownOutline(text: string): Outline {
  const symbols: OutlineSymbol[] = [];
  const lines = text.split("\n");
  let fence = "";
  for (const [index, line] of lines.entries()) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark !== undefined && (fence === "" || (mark.startsWith(fence) && line.trim() === mark)))
      fence = fence === "" ? mark : "";
    const name = fence === "" && line.length <= longestHeading ? headingOf(line) : "";
    if (name === "") continue;
    const last = symbols.at(-1);
    if (last !== undefined) last.endLine = index;
    symbols.push({ name, kind: "heading", line: index + 1, endLine: lines.length, signature: line.trim() });
  }
  return { symbols };
}

function headingOf(line: string): string {
  const opening = /^ {0,3}#{1,6}[ \t]+/.exec(line)?.[0];
  return opening === undefined
    ? ""
    : line
        .slice(opening.length)
        .trim()
        .replace(/(?:^|[ \t]+)#+$/, "");
}
