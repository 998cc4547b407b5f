// edit-memory.ts — carries out edits on a native memory: opens it at a page, encodes or loads what is new, closes it again.
//
// In: the memory, where each held document lies in it, the steps (edits.ts) or the memory to turn to. The layout is true after every step,
// also when one was cut off: then the document it was about is as before, or gone where it was to be replaced. No policy.

import type { Memory } from "../../native/index.d.ts";
import { pageTokens, type WantedDocument } from "./documents.ts";
import type { Patch, Step } from "./edits.ts";
import type { Layout, Piece } from "./layout.ts";

/** A document and the saved pieces that it lies in. */
export interface PlacedDocument extends WantedDocument {
  pieces: Piece[];
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
      dropDocument(memory, layout, at);
      continue;
    }
    if (step.kind === "insert") {
      const { document } = step;
      await between(memory, layout.nativeIndex(at), () => encode(document.tokens));
      layout.insert(at, document, [layout.encoded(at, 0, document, document.tokens)]);
    } else if (step.kind === "patch") {
      await patchDocument(memory, layout, at, step.document, step.patches, encode);
    }
    at++;
  }
}

/**
 * Turns the memory into a saved one: documents that lie in the same pieces stay, the others are dropped and loaded. One that cannot be
 * loaded is left out. Resolves with the tokens loaded. @param load appends a piece.
 */
export async function turnTo(
  memory: Memory,
  layout: Layout,
  documents: readonly PlacedDocument[],
  load: (piece: Piece, tokens: Int32Array) => Promise<boolean>,
): Promise<number> {
  const targets = new Set(documents.map(({ pieces }) => keyOf(pieces)));
  // First, since there may be no room for both.
  for (let index = layout.held.length - 1; index >= 0; index--) {
    if (!targets.has(keyOf(layout.pieces[index] ?? []))) dropDocument(memory, layout, index);
  }
  let at = 0;
  let loaded = 0;
  for (const { pieces, ...document } of documents) {
    const key = keyOf(pieces);
    const found = layout.pieces.findIndex((held, index) => index >= at && keyOf(held) === key);
    if (found >= 0) {
      for (let index = at; index < found; index++) dropDocument(memory, layout, at);
      at++;
      continue;
    }
    const first = layout.nativeIndex(at);
    const whole = await between(memory, first, async () => {
      let from = 0;
      for (const piece of pieces) {
        if (!(await load(piece, document.tokens.slice(from, from + piece.tokens)))) {
          memory.truncate(first);
          return false;
        }
        from += piece.tokens;
      }
      return true;
    });
    if (!whole) continue;
    layout.insert(at, document, pieces);
    loaded += document.tokens.length;
    at++;
  }
  return loaded;
}

/** Equal for the same pages at the same positions. */
function keyOf(pieces: readonly Piece[]): string {
  return pieces.map(({ segment, page, tokens, position }) => `${segment} ${page} ${tokens} ${position}`).join();
}

function dropDocument(memory: Memory, layout: Layout, at: number): void {
  memory.drop(layout.nativeIndex(at), layout.pieces[at]?.length ?? 0);
  layout.drop(at);
}

/** Stretch by stretch, from the first: a later one sees the earlier ones as they are now. */
async function patchDocument(
  memory: Memory,
  layout: Layout,
  at: number,
  document: WantedDocument,
  patches: readonly Patch[],
  encode: (tokens: Int32Array) => Promise<void>,
): Promise<void> {
  let moved = 0;
  for (const [index, { from, to, begin, until }] of patches.entries()) {
    const last = index === patches.length - 1;
    const added = document.tokens.slice(begin, until);
    const now = layout.held[at]?.tokens ?? new Int32Array(0);
    const spliced = [...now.subarray(0, from + moved), ...added, ...now.subarray(to + moved)];
    const patched = last ? document : { ...document, tokens: Int32Array.from(spliced) };
    await patchStretch(memory, layout, at, patched, from + moved, to + moved, added, encode);
    moved += added.length - (to - from);
  }
}

/** Puts `added` in the place of the tokens [from, to) of document `at`, which then is `document`. */
async function patchStretch(
  memory: Memory,
  layout: Layout,
  at: number,
  document: WantedDocument,
  from: number,
  to: number,
  added: Int32Array,
  encode: (tokens: Int32Array) => Promise<void>,
): Promise<void> {
  const first = layout.nativeIndex(at);
  cutAt(memory, layout, at, from);
  cutAt(memory, layout, at, to);
  const pieces = layout.pieces[at] ?? [];
  const before = countUpTo(pieces, from);
  const old = countUpTo(pieces, to) - before;
  if (added.length > 0) await between(memory, first + before, () => encode(added));
  const made = added.length > 0 ? [layout.encoded(at, before, document, added)] : [];
  memory.drop(first + before + made.length, old);
  layout.replace(at, document, before, old, made);
}

/** Makes `token` of a document the beginning of a piece; it is that of a page, or the document's end. */
function cutAt(memory: Memory, layout: Layout, at: number, token: number): void {
  let start = 0;
  for (const [index, { tokens }] of (layout.pieces[at] ?? []).entries()) {
    if (token > start && token < start + tokens) {
      memory.split(layout.nativeIndex(at) + index, (token - start) / pageTokens);
      layout.split(at, index, token - start, pageTokens);
      return;
    }
    start += tokens;
  }
}

/** Pieces before `token`. */
function countUpTo(pieces: readonly Piece[], token: number): number {
  let start = 0;
  let count = 0;
  for (const { tokens } of pieces) {
    if (start >= token) break;
    start += tokens;
    count++;
  }
  return count;
}

/** Appends before the memory's own document `index`; what is appended sees what lies before it alone, and is gone when `append` throws. */
async function between<Result>(memory: Memory, index: number, append: () => Promise<Result>): Promise<Result> {
  memory.setAside(index);
  try {
    return await append();
  } catch (error) {
    memory.truncate(index);
    throw error;
  } finally {
    memory.bringBack();
  }
}
