// raises.ts — the lines of a function that raise an error: what a question for an exception is answered from.
//
// By the shape of the lines alone, for any language. Pure.

import type { Block } from "./blocks.ts";

const raising =
  /^(?:raise|throw)\s+[\p{L}_]|\b(?:reject|panic!?|bail!?)\s*\(|\b(?:new\s+)?(?:\p{Lu}[\p{L}\p{N}_]*)?(?:Error|Exception)\s*\(/u;
const comment = /^(?:\/\/|\/?\*|#|--|""")/;
const longest = 160;
/** Of one function, at most. */
const mostLines = 5;

/** The lines of the block that raise, first ones first; a bare `raise` names nothing and is left out. */
export function raisingLines(block: Block, lines: readonly string[]): { line: number; text: string }[] {
  const found: { line: number; text: string }[] = [];
  for (let line = block.start; line <= block.end && found.length < mostLines; line++) {
    const text = (lines[line - 1] ?? "").trim();
    if (!comment.test(text) && raising.test(text)) found.push({ line, text: text.slice(0, longest) });
  }
  return found;
}
