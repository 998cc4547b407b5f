// markdown.ts — the headings of a Markdown text as its outline. A grammar would be more than the need: `#` lines outside fences.

import type { Outline, OutlineSymbol } from "./outline.ts";

export function markdownOutline(text: string): Outline {
  const symbols: OutlineSymbol[] = [];
  const lines = text.split("\n");
  let fence = "";
  for (const [index, line] of lines.entries()) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark !== undefined && (fence === "" || (mark.startsWith(fence) && line.trim() === mark)))
      fence = fence === "" ? mark : "";
    const heading = fence === "" ? /^#{1,6}\s+(.+?)\s*#*\s*$/.exec(line)?.[1] : undefined;
    if (heading === undefined) continue;
    const last = symbols.at(-1);
    if (last !== undefined) last.endLine = index;
    symbols.push({ name: heading, kind: "heading", line: index + 1, endLine: lines.length, signature: line.trim() });
  }
  return { symbols };
}
