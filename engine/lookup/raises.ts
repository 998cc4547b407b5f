// raises.ts — the lines that raise an error, in the functions that a question is about: what it is answered from.
//
// By the shape of the lines alone, for any language.

import type { Block } from "./blocks.ts";
import type { Candidate } from "./rank.ts";
import type { Reader } from "./reader.ts";
import type { Definition, LookupRequest, Raise } from "./types.ts";

/** Functions that are searched, beside those that the question names. */
const fittingFunctions = 2;
const mostRaises = 6;

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

/** What the functions raise that the question names, or that fit it best. */
export async function raisesOf(
  definitions: readonly Definition[],
  candidates: readonly Candidate[],
  request: LookupRequest,
  reader: Reader,
): Promise<Raise[]> {
  const fitting = candidates.map(({ path, focus }) => ({ path, line: focus }));
  const raises = new Map<string, Raise>();
  let more = fittingFunctions;
  for (const [index, { path, line }] of [...definitions, ...fitting].entries()) {
    if (more === 0) break;
    const lines = await reader.lines(path);
    if (lines === undefined) continue;
    const block = reader.blocks(path, lines, request.outlines.get(path)?.symbols).at(line);
    if (block.container || block.signature === 0) continue;
    if (index >= definitions.length) more--;
    const name = block.within === "" ? block.name : `${block.within}.${block.name}`;
    for (const raise of raisingLines(block, lines)) raises.set(`${path}:${raise.line}`, { name, path, ...raise });
  }
  return [...raises.values()].slice(0, mostRaises);
}
