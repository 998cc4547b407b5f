// top-level-blocks.ts — a file cut into its outermost definitions: the units in which an edit is encoded again. Pure.

import type { Outline } from "./outline.ts";

export interface BlockRange {
  /** 1-based, both included. */
  startLine: number;
  endLine: number;
}

/**
 * The blocks of a file of `lineCount` lines: each outermost definition with the lines before it that belong to nothing else, and
 * what follows the last. Together they cover each line once. Without an outline the file is one block.
 */
export function topLevelBlocks(lineCount: number, found: Outline | undefined): BlockRange[] {
  const definitions = (found?.symbols ?? [])
    .filter(({ kind, endLine }) => kind !== "heading" && endLine <= lineCount)
    .sort((a, b) => a.line - b.line || b.endLine - a.endLine);
  const blocks: BlockRange[] = [];
  let next = 1;
  for (const { line, endLine } of definitions) {
    if (line < next) continue;
    blocks.push({ startLine: next, endLine });
    next = endLine + 1;
  }
  if (next <= lineCount) blocks.push({ startLine: next, endLine: lineCount });
  return blocks;
}
