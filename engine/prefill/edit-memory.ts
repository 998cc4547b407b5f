// edit-memory.ts — carries out edits on a native memory: opens it at a page, encodes what is new, closes it again.
//
// In: the memory, where each held document lies in it, the steps (edits.ts). The layout is true after every step, also when one was cut
// off: then the document it was about is as before. No policy.

import type { Memory } from "../../native/index.d.ts";
import { pageTokens, type WantedDocument } from "./documents.ts";
import type { Patch, Step } from "./edits.ts";

/** Which document lies where: a held document is one or more of the memory's own documents, its pieces, of these lengths. */
export interface Layout {
  held: WantedDocument[];
  pieces: number[][];
}

/** Index, among the memory's own documents, of a held document's first piece. */
export function nativeIndex(pieces: readonly (readonly number[])[], index: number): number {
  return pieces.slice(0, index).reduce((sum, { length }) => sum + length, 0);
}

/** @param encode appends tokens as one document; when it throws, what it appended is taken back here. */
export async function applyEdits(
  memory: Memory,
  layout: Layout,
  steps: readonly Step[],
  encode: (tokens: Int32Array) => Promise<void>,
): Promise<void> {
  let at = 0;
  for (const step of steps) {
    if (step.kind === "drop") {
      memory.drop(nativeIndex(layout.pieces, at), layout.pieces[at]?.length ?? 0);
      layout.held.splice(at, 1);
      layout.pieces.splice(at, 1);
      continue;
    }
    if (step.kind === "insert") {
      await encodeAt(memory, nativeIndex(layout.pieces, at), step.document.tokens, encode);
      layout.held.splice(at, 0, step.document);
      layout.pieces.splice(at, 0, [step.document.tokens.length]);
    } else if (step.kind === "patch") {
      await patchDocument(memory, layout, at, step.document, step.patch, encode);
    }
    at++;
  }
}

async function patchDocument(
  memory: Memory,
  layout: Layout,
  at: number,
  document: WantedDocument,
  { from, to, until }: Patch,
  encode: (tokens: Int32Array) => Promise<void>,
): Promise<void> {
  const first = nativeIndex(layout.pieces, at);
  const pieces = layout.pieces[at] ?? [];
  cutAt(memory, first, pieces, from);
  cutAt(memory, first, pieces, to);
  const before = countUpTo(pieces, from);
  const old = countUpTo(pieces, to) - before;
  const added = document.tokens.slice(from, until);
  if (added.length > 0) await encodeAt(memory, first + before, added, encode);
  memory.drop(first + before + (added.length > 0 ? 1 : 0), old);
  pieces.splice(before, old, ...(added.length > 0 ? [added.length] : []));
  layout.held[at] = document;
}

/** Makes `token` of a document the beginning of a piece; it is that of a page, or the document's end. */
function cutAt(memory: Memory, first: number, pieces: number[], token: number): void {
  let start = 0;
  for (const [index, length] of pieces.entries()) {
    if (token > start && token < start + length) {
      memory.split(first + index, (token - start) / pageTokens);
      pieces.splice(index, 1, token - start, start + length - token);
      return;
    }
    start += length;
  }
}

/** Pieces before `token`. */
function countUpTo(pieces: readonly number[], token: number): number {
  let start = 0;
  let count = 0;
  for (const length of pieces) {
    if (start >= token) break;
    start += length;
    count++;
  }
  return count;
}

/** Encodes a document before the memory's own document `index`; it sees what lies before it alone. */
async function encodeAt(
  memory: Memory,
  index: number,
  tokens: Int32Array,
  encode: (tokens: Int32Array) => Promise<void>,
): Promise<void> {
  memory.setAside(index);
  try {
    await encode(tokens);
  } catch (error) {
    memory.truncate(index);
    throw error;
  } finally {
    memory.bringBack();
  }
}
