// layout.ts — which document lies where in a memory: its pieces, the names that these have on disk, and what they saw.
//
// A held document is one or more of the memory's own documents, its pieces. Every piece is pages of a segment; the segment's name covers
// all that its keys depend on. A piece remembers which unsaved texts it saw: neither it nor they may reach the disk. Bookkeeping only.

import type { WantedDocument } from "./documents.ts";

/** Pages of a segment that lie in a memory. */
export interface Piece {
  /** Name of the segment, "" where nothing is kept; its tokens; the first page in it. */
  segment: string;
  segmentTokens: number;
  page: number;
  tokens: number;
  /** Of the first token. */
  position: number;
}

interface HeldPiece extends Piece {
  /** Whether its segment is on disk, or on its way there. */
  saved: boolean;
  /** The unsaved text that it holds, if it does, and all that it saw. */
  own: number | undefined;
  seen: Set<number>;
}

/** How pieces are named (engine/memories/identity.ts). */
export interface Names {
  /** The state of an empty memory. */
  readonly root: string;
  stateAfter(state: string, piece: Piece): string;
  nameOf(state: string, path: string, tokens: Int32Array): string;
}

export class Layout {
  readonly held: WantedDocument[] = [];
  readonly pieces: HeldPiece[][] = [];
  names: Names | undefined;
  /** The states before the documents, as far as they are known. */
  #states: string[] = [];
  #unsavedTexts = 0;
  /** Unsaved texts of which a part is no longer there: nobody can tell any more whether they were saved. */
  readonly #gone = new Set<number>();

  /** How many of the memory's own documents lie before document `index`, or in all. */
  nativeIndex(index = this.pieces.length): number {
    return this.pieces.slice(0, index).reduce((sum, { length }) => sum + length, 0);
  }

  /** Lengths of the pieces of each document, in tokens. */
  lengths(): number[][] {
    return this.pieces.map((pieces) => pieces.map(({ tokens }) => tokens));
  }

  /** A piece for tokens of `document` that were encoded behind the first `before` pieces of document `at`, or behind document `at` − 1. */
  encoded(at: number, before: number, document: WantedDocument, tokens: Int32Array): HeldPiece {
    const earlier = [...this.pieces.slice(0, at).flat(), ...(this.pieces[at] ?? []).slice(0, before)];
    const last = earlier.at(-1);
    const seen = new Set(earlier.flatMap((piece) => [...piece.seen]));
    const own = document.unsaved === true ? ++this.#unsavedTexts : undefined;
    if (own !== undefined) seen.add(own);
    return {
      segment: this.names?.nameOf(this.#stateBefore(at, before, this.names), document.path, tokens) ?? "",
      segmentTokens: tokens.length,
      page: 0,
      tokens: tokens.length,
      position: last === undefined ? 0 : last.position + last.tokens,
      saved: false,
      own,
      seen,
    };
  }

  /** A document that was read behind all others. */
  push(document: WantedDocument): void {
    this.insert(this.held.length, document, [this.encoded(this.held.length, 0, document, document.tokens)]);
  }

  /** A document that was loaded, or whose pieces were made by encoded(). */
  insert(at: number, document: WantedDocument, pieces: readonly (Piece | HeldPiece)[]): void {
    const loaded = { saved: true, own: undefined };
    this.held.splice(at, 0, document);
    this.pieces.splice(
      at,
      0,
      pieces.map((piece) => ("seen" in piece ? piece : { ...piece, ...loaded, seen: new Set<number>() })),
    );
    this.#forget(at);
  }

  drop(at: number): void {
    this.#leave(this.pieces[at] ?? []);
    this.held.splice(at, 1);
    this.pieces.splice(at, 1);
    this.#forget(at);
  }

  /** Keeps the first `count` documents. */
  shorten(count: number): void {
    for (let at = this.held.length - 1; at >= count; at--) this.drop(at);
  }

  /** Puts pieces in the place of `count` of document `at`, from its piece `from` on; it holds other tokens then. */
  replace(at: number, document: WantedDocument, from: number, count: number, pieces: readonly HeldPiece[]): void {
    this.#leave(this.pieces[at]?.splice(from, count, ...pieces) ?? []);
    this.held[at] = document;
    this.#forget(at);
  }

  /** Cuts a piece in two behind `tokens` of its tokens. */
  split(at: number, index: number, tokens: number, pageTokens: number): void {
    const piece = this.pieces[at]?.[index];
    if (piece === undefined) return;
    const first = { ...piece, tokens, seen: new Set(piece.seen) };
    const rest = {
      ...piece,
      page: piece.page + tokens / pageTokens,
      tokens: piece.tokens - tokens,
      position: piece.position + tokens,
    };
    this.pieces[at]?.splice(index, 1, first, rest);
    this.#forget(at);
  }

  /** The documents are wanted as they are held: what of them was unsaved may be saved now. */
  adopt(wanted: readonly WantedDocument[]): void {
    const saved = new Set<number>();
    for (const [at, document] of wanted.entries()) {
      if (at >= this.held.length) break;
      this.held[at] = document;
      if (document.unsaved === true) continue;
      for (const { own } of this.pieces[at] ?? []) if (own !== undefined && !this.#gone.has(own)) saved.add(own);
    }
    if (saved.size === 0) return;
    for (const piece of this.pieces.flat()) {
      if (piece.own !== undefined && saved.has(piece.own)) piece.own = undefined;
      for (const text of saved) piece.seen.delete(text);
    }
  }

  #leave(pieces: readonly HeldPiece[]): void {
    for (const { own } of pieces) if (own !== undefined) this.#gone.add(own);
  }

  #forget(at: number): void {
    this.#states.length = Math.min(this.#states.length, at + 1);
  }

  #stateBefore(at: number, before: number, names: Names): string {
    for (let known = this.#states.length; known <= at; known++) {
      const earlier = this.#states[known - 1] ?? names.root;
      this.#states[known] = known === 0 ? names.root : (this.pieces[known - 1] ?? []).reduce(names.stateAfter, earlier);
    }
    return (this.pieces[at] ?? []).slice(0, before).reduce(names.stateAfter, this.#states[at] ?? names.root);
  }
}
