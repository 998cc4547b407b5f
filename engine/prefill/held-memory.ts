// held-memory.ts — a native memory together with what it holds: which document, with which token ids.
//
// In: the documents that should be in memory, in order. It keeps the longest prefix of whole documents whose token ids are the
// same (ids are compared, never hashes alone), and prefills the rest in chunks with progress. Behind them lies a tail, the private
// tokens of a thread, kept in step with the tokens wanted in the same way. It decides nothing about which tokens those are.

import type { GenerateOptions, GenerateResult, Memory, Model, Selection } from "../../native/index.d.ts";
import { QuireError } from "../errors.ts";
import { fromNative, type Native } from "../native.ts";
import { chunksOf, chunkTokens } from "./chunks.ts";
import { isSameDocument, pagesFor, pagesOf, tokensOf, type WantedDocument } from "./documents.ts";
import { applyEdits, type PlacedDocument, turnTo } from "./edit-memory.ts";
import { type BeginningsOf, type EditState, type Edits, planEdits, type Step } from "./edits.ts";
import { Layout, type Names, type Piece } from "./layout.ts";

export interface MemoryShape {
  summary: "mean-spread" | "min-max";
  /** YaRN; factor 1 means none. */
  rope: { factor: number; originalContext: number };
  /** The documents are read sparsely, this way; the tail never is. Absent: densely. */
  reading?: Selection;
}

export interface ReadProgress {
  /** Tokens prefilled so far, and to be prefilled in all. */
  done: number;
  total: number;
  tokensPerSecond: number;
  secondsLeft: number;
}

export interface ReadOutcome {
  /** In memory before anything was read: still there, or restored from the store. */
  reusedTokens: number;
  restoredTokens: number;
  prefilledTokens: number;
  /** Tokens in memory that were encoded in place, now or before: what lies behind them was read in view of an older text. */
  patchedTokens: number;
  seconds: number;
}

/** One read under way: what the memory is to hold, and who hears of it and stops it. */
interface Reading {
  wanted: readonly WantedDocument[];
  signal: AbortSignal;
  onProgress: (progress: ReadProgress) => void;
  now: () => number;
}

type Amounts = Pick<ReadOutcome, "reusedTokens" | "restoredTokens" | "prefilledTokens">;

/** How a read may use a memory of an older state of the repository. */
export interface EditOptions {
  beginningsOf: BeginningsOf;
  /** Pages that must be free afterwards, for the tail. */
  reservedPages: number;
  /** Share of the tokens that may be encoded in place before all is read again (edits.ts mostPatchedShare). */
  mostPatchedShare?: number;
}

/** A memory as it was written down, to turn to. */
interface SavedMemory {
  documents: PlacedDocument[];
  /** How many of them, from the first, are as if read just now. */
  exact: number;
  patchedTokens: number;
}

/** Names a memory that was written down, for the one that replaces it. */
interface Remembered {
  file: string;
}

/** Where pages are kept between processes (engine/memories/store.ts). */
export interface DocumentStore extends Names {
  /** The segment of document `index` where all up to it are read whole, in this order. */
  segmentOf(documents: readonly WantedDocument[], index: number): string;
  /** How many documents, of which the first `from` are in memory so, can be had as if read just now. */
  prefix(documents: readonly WantedDocument[], from: number): Promise<number>;
  /** The saved memory that has most of these documents. */
  recall(documents: readonly WantedDocument[]): Promise<SavedMemory | undefined>;
  /** Appends a piece, which holds these tokens, at its position. False: it must be encoded. Throws "cancelled". */
  load(memory: Memory, piece: Piece, tokens: Int32Array): Promise<boolean>;
  /** Saves the memory's own document `index` as a segment. False: it is not kept. Throws "cancelled", nothing else. */
  save(
    memory: Memory,
    index: number,
    tokens: Int32Array,
    segment: string,
    inUse: () => Iterable<string>,
  ): Promise<boolean>;
  /** Writes down what the memory holds, once it is on the disk. `replaces`: an older state of the same. */
  remember(documents: readonly PlacedDocument[], patchedTokens: number, replaces: Remembered | undefined): Remembered;
  /** Resolves when all that was saved is on the disk. Never throws. */
  settled(): Promise<void>;
}

/** What a read would do, and the tokens that it would encode. */
type Way =
  | { kind: "read"; keep: number; tokens: number }
  | { kind: "edit"; edits: Edits; tokens: number }
  | { kind: "turn"; saved: SavedMemory; tokens: number };

/** Documents changed at once that are more than an edit: a branch, most likely. Its state is kept beside the one before it. */
const manyDocuments = 3;
/** Tokens of a document that choose pages together where it is read sparsely: a chunk may not end inside them. */
const blockTokens = 64;

export class HeldMemory {
  readonly shape: MemoryShape;
  readonly capacityPages: number;
  readonly #memory: Memory;
  /** The documents, and the pieces that each lies in since it was edited in place. */
  readonly #layout = new Layout();
  /** Documents before this one are as if read just now. */
  #firstPatched = Number.POSITIVE_INFINITY;
  #patchedTokens = 0;
  /** Token ids behind the documents. */
  #tail = new Int32Array(0);
  /** How many of these, from the first, attended to everything before them. */
  #denseTail = 0;
  #store: DocumentStore | undefined;
  /** What stores that were replaced have still to put on the disk. */
  #unsettled: Promise<unknown> = Promise.resolve();
  #remembered: Remembered | undefined;

  /**
   * @param pages capacity in pages of 16 tokens. Throws "out-of-memory".
   */
  constructor(addon: Native, model: Model, shape: MemoryShape, pages: number) {
    this.shape = shape;
    this.capacityPages = pages;
    try {
      this.#memory = new addon.Memory(model, { pages, summary: shape.summary, rope: shape.rope });
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** Pages are loaded from it before they are computed, and saved to it; undefined: nothing is kept. */
  get store(): DocumentStore | undefined {
    return this.#store;
  }

  set store(store: DocumentStore | undefined) {
    if (this.#store !== undefined && this.#store !== store) {
      this.#unsettled = Promise.all([this.#unsettled, this.#store.settled()]);
    }
    this.#store = store;
    this.#layout.names = store;
  }

  /** Resolves when all that was saved is on the disk. Never throws. */
  async settled(): Promise<void> {
    await Promise.all([this.#unsettled, this.#store?.settled()]);
  }

  /** Tokens encoded in place since the documents were read; 0: all is as if read just now. */
  get patchedTokens(): number {
    return this.#patchedTokens;
  }

  /** Tokens of the documents from the first on that was read in view of an older text; 0: none. */
  get staleTokens(): number {
    return tokensOf(this.#held.slice(this.#firstPatched));
  }

  /** The documents in memory, in order, the tail not among them. */
  get documents(): readonly WantedDocument[] {
    return this.#held;
  }

  /** Tokens in memory, the tail included. */
  get tokens(): number {
    return this.#memory.tokens;
  }

  /** Tokens behind the documents. */
  get tailTokens(): number {
    return this.#tail.length;
  }

  /** Index of the first page of each document, and of the tail. */
  firstPages(): number[] {
    let page = 0;
    const tail = this.#tail.length > 0 ? [[this.#tail.length]] : [];
    return [...this.#layout.lengths(), ...tail].map((pieces) => {
      const first = page;
      page += pagesIn([pieces]);
      return first;
    });
  }

  /** Where the documents lie: the saved pages of each. */
  pieces(): Piece[][] {
    return this.#layout.pieces.map((pieces) => pieces.map(toPiece));
  }

  /** Whether the documents and `tailTokens` more fit its capacity. */
  fits(wanted: readonly WantedDocument[], tailTokens: number): boolean {
    return pagesOf(wanted) + this.brokenPages + pagesFor(tailTokens) + 1 <= this.capacityPages;
  }

  /** Pages more than the documents would take had none of them been edited in place. */
  get brokenPages(): number {
    return pagesIn(this.#layout.lengths()) - pagesOf(this.#held);
  }

  /** How many of the wanted documents are in memory already, from the first on. */
  commonPrefix(wanted: readonly WantedDocument[]): number {
    return commonPrefix(this.#held, wanted);
  }

  /**
   * Makes the memory hold exactly `wanted`; the tail stays where no document changed. With `edits`, what changed may be encoded in
   * place; without, nothing stays that was. Throws "cancelled" when the signal fires; what was read by then stays and is reused by
   * the next call.
   */
  async read(
    wanted: readonly WantedDocument[],
    signal: AbortSignal,
    onProgress: (progress: ReadProgress) => void,
    now: () => number = () => performance.now(),
    edits?: EditOptions,
  ): Promise<ReadOutcome> {
    await this.#unsettled;
    return this.#go(await this.#wayTo(wanted, edits), { wanted, signal, onProgress, now }, edits);
  }

  /** Encodes in place what changed of the documents; undefined where nothing did, or where they must be read. Throws "cancelled". */
  async follow(
    wanted: readonly WantedDocument[],
    signal: AbortSignal,
    edits: EditOptions,
  ): Promise<ReadOutcome | undefined> {
    if (this.#held.length === 0) return undefined;
    await this.#unsettled;
    const way = await this.#wayTo(wanted, edits);
    const same = this.commonPrefix(wanted) === wanted.length && this.#held.length === wanted.length;
    if (way.kind === "read" && (way.tokens > 0 || same)) return undefined;
    return this.#go(way, { wanted, signal, onProgress: () => {}, now: () => performance.now() }, edits);
  }

  /**
   * Encodes the first document that was read in view of an older text again, whole, at its place: then it is as if read just now, and when
   * it was the last such one everything is. The tail is dropped. `pause` is told the seconds of each chunk and may take its time. Resolves
   * with the tokens encoded; 0: nothing is left, or no room beside `reservedPages`. Throws "cancelled": the document is as before.
   */
  async renew(
    signal: AbortSignal,
    reservedPages: number,
    pause: (seconds: number) => Promise<void> = async () => {},
    now: () => number = () => performance.now(),
  ): Promise<number> {
    await this.#unsettled;
    const index = this.#firstPatched;
    const document = this.#held[index];
    if (document === undefined) return 0;
    const needed = pagesIn(this.#layout.lengths()) + pagesFor(document.tokens.length) + reservedPages;
    if (needed > this.capacityPages) return 0;
    this.#dropTail();
    const whole = { from: 0, to: document.tokens.length, begin: 0, until: document.tokens.length };
    const kept = this.#held.slice(0, index).map((): Step => ({ kind: "keep" }));
    let begin = now();
    await applyEdits(this.#memory, this.#layout, [...kept, { kind: "patch", document, patches: [whole] }], (tokens) =>
      this.#encode(tokens, signal, async () => {
        await pause((now() - begin) / 1000);
        begin = now();
      }),
    );
    this.#firstPatched = index + 1;
    if (this.#firstPatched >= this.#held.length) {
      this.#firstPatched = Number.POSITIVE_INFINITY;
      this.#patchedTokens = 0;
    }
    await this.#save(signal);
    this.#remember(true);
    void this.#store?.settled();
    return document.tokens.length;
  }

  get #held(): WantedDocument[] {
    return this.#layout.held;
  }

  /** What edits are planned from. */
  get #state(): EditState {
    return { held: this.#held, pieces: this.#layout.lengths(), patchedTokens: this.#patchedTokens };
  }

  /** How many of the memory's own documents hold the documents. */
  get #nativeLength(): number {
    return this.#layout.nativeIndex();
  }

  /** The way that encodes the fewest tokens; of two that encode as many, the one that gives the more exact memory. */
  async #wayTo(wanted: readonly WantedDocument[], edits: EditOptions | undefined): Promise<Way> {
    const same = this.commonPrefix(wanted);
    const exact = Math.min(same, this.#firstPatched);
    const reading = (keep: number, had: number): Way => ({ kind: "read", keep, tokens: tokensOf(wanted.slice(had)) });
    if (edits === undefined) return reading(exact, exact);
    if (same === wanted.length) return reading(same, same);
    const ways = [this.#planFrom(this.#state, wanted, edits) ?? reading(same, same)];
    const again = reading(exact, Math.max(exact, (await this.store?.prefix(wanted, exact)) ?? 0));
    const saved = again.tokens > 0 ? await this.store?.recall(wanted) : undefined;
    if (saved !== undefined) {
      const pieces = saved.documents.map((document) => document.pieces.map(({ tokens }) => tokens));
      const there = { held: saved.documents, pieces, patchedTokens: saved.patchedTokens };
      const planned = this.#planFrom(there, wanted, edits);
      const tokens = planned?.tokens ?? tokensOf(wanted.slice(commonPrefix(saved.documents, wanted)));
      if (pagesIn(pieces) + edits.reservedPages <= this.capacityPages) ways.push({ kind: "turn", saved, tokens });
    }
    return ways.reduce((best, way) => (way.tokens < best.tokens ? way : best), again);
  }

  /** Undefined: read on from the first difference, or all that is wanted is there. */
  #planFrom(state: EditState, wanted: readonly WantedDocument[], edits: EditOptions): Way | undefined {
    if (state.held.length === 0) return undefined;
    const planned = planEdits(state, wanted, edits.beginningsOf, edits.mostPatchedShare);
    if (planned === undefined) return undefined;
    // Old and new lie beside each other for a while, and each edit may break two pages.
    const changes = planned.steps.filter(({ kind }) => kind !== "keep").length;
    const needed = pagesIn(state.pieces) + pagesFor(planned.tokens) + 3 * changes + edits.reservedPages;
    return needed <= this.capacityPages ? { kind: "edit", edits: planned, tokens: planned.tokens } : undefined;
  }

  async #go(way: Way, reading: Reading, edits: EditOptions | undefined): Promise<ReadOutcome> {
    const { wanted, signal, now } = reading;
    const begin = now();
    const before = new Map(this.#held.map((document) => [document.path, document]));
    try {
      const amounts = await this.#take(way, reading, edits);
      this.#layout.adopt(wanted);
      await this.#save(signal);
      const changed = wanted.filter((document) => !isSameDocument(before.get(document.path), document)).length;
      this.#remember(changed < manyDocuments);
      return { ...amounts, patchedTokens: this.#patchedTokens, seconds: (now() - begin) / 1000 };
    } finally {
      void this.#store?.settled(); // begins to put on the disk what was saved; nobody waits for it here
    }
  }

  async #take(way: Way, reading: Reading, edits: EditOptions | undefined): Promise<Amounts> {
    if (way.kind === "edit") return this.#edit(way.edits, reading);
    if (way.kind === "read") return this.#readOn(way.keep, reading);
    const { wanted } = reading;
    const restored = await this.#turnTo(way.saved, reading.signal);
    // From there it is a matter of this memory alone.
    const same = this.commonPrefix(wanted);
    const planned = edits && same < wanted.length ? this.#planFrom(this.#state, wanted, edits) : undefined;
    const next: Way = planned ?? { kind: "read", keep: same, tokens: 0 };
    const { restoredTokens, ...rest } = await this.#take(next, reading, undefined);
    return { ...rest, restoredTokens: restoredTokens + restored };
  }

  /** Keeps the first `keep` documents and reads the others, as far as they are not in the store. */
  async #readOn(keep: number, { wanted, signal, onProgress, now }: Reading): Promise<Amounts> {
    if (keep < wanted.length || keep < this.#held.length) {
      this.#dropTail();
      this.#shorten(keep);
    }
    this.#layout.adopt(wanted.slice(0, keep));
    const heldTokens = tokensOf(this.#held);
    await this.#load(wanted, signal);
    const reusedTokens = tokensOf(this.#held);
    const rest = wanted.slice(this.#held.length);
    const total = tokensOf(rest);
    const begin = now();
    let done = 0;
    let partial: WantedDocument | undefined;
    try {
      for (const chunk of chunksOf(rest, this.shape.reading === undefined ? 1 : blockTokens)) {
        await this.#append(chunk.tokens, chunk.starts, signal, this.shape.reading);
        done += chunk.tokens.length;
        for (const document of chunk.completed) this.#layout.push(document);
        partial = chunk.unfinished;
        await this.#save(signal);
        const seconds = (now() - begin) / 1000;
        const tokensPerSecond = done / Math.max(seconds, 1e-3);
        // Attention grows with what is in memory, so the rest is slower than what was read; linear is near enough here.
        const slower = total === 0 ? 1 : 1 + (0.5 * (total - done)) / total;
        onProgress({ done, total, tokensPerSecond, secondsLeft: ((total - done) / tokensPerSecond) * slower });
      }
    } catch (error) {
      // Whole documents only: a part of one is dropped.
      if (partial !== undefined) this.#memory.truncate(this.#nativeLength);
      throw error;
    }
    return { reusedTokens, restoredTokens: reusedTokens - heldTokens, prefilledTokens: done };
  }

  /** Keeps the first `count` documents; there is no tail. */
  #shorten(count: number): void {
    this.#memory.truncate(this.#layout.nativeIndex(count));
    this.#layout.shorten(count);
    if (count > this.#firstPatched) return;
    this.#firstPatched = Number.POSITIVE_INFINITY;
    this.#patchedTokens = 0;
  }

  async #edit({ steps, tokens: total }: Edits, { wanted, signal, onProgress, now }: Reading): Promise<Amounts> {
    const begin = now();
    const first = steps.findIndex(({ kind }) => kind !== "keep");
    let done = 0;
    this.#dropTail();
    this.#firstPatched = Math.min(this.#firstPatched, first);
    try {
      await applyEdits(this.#memory, this.#layout, steps, (tokens) =>
        this.#encode(tokens, signal, (count) => {
          done += count;
          const tokensPerSecond = done / Math.max((now() - begin) / 1000, 1e-3);
          onProgress({ done, total, tokensPerSecond, secondsLeft: (total - done) / tokensPerSecond });
        }),
      );
    } finally {
      this.#patchedTokens += done;
    }
    return { reusedTokens: tokensOf(wanted) - done, restoredTokens: 0, prefilledTokens: done };
  }

  /** Loads what the memory does not hold of a saved one, and drops the rest; resolves with the tokens loaded. */
  async #turnTo(saved: SavedMemory, signal: AbortSignal): Promise<number> {
    const { store } = this;
    if (store === undefined) return 0;
    this.#dropTail();
    // Until all of it is there it is neither of the two.
    const patched = this.#patchedTokens + saved.patchedTokens;
    this.#firstPatched = 0;
    this.#patchedTokens = patched;
    const loaded = await turnTo(this.#memory, this.#layout, saved.documents, async (piece, tokens) => {
      if (signal.aborted) throw new QuireError("cancelled", "Stopped.");
      return this.#cancellable(signal, () => store.load(this.#memory, piece, tokens));
    });
    // One that could not be loaded is missing; those behind it saw it.
    const exact = Math.min(saved.exact, commonPrefix(saved.documents, this.#held));
    this.#firstPatched = exact < this.#held.length ? exact : Number.POSITIVE_INFINITY;
    this.#patchedTokens = saved.patchedTokens;
    return loaded;
  }

  /** Appends tokens as one document. */
  async #encode(
    tokens: Int32Array,
    signal: AbortSignal,
    onChunk: (tokens: number) => void | Promise<void>,
  ): Promise<void> {
    for (let from = 0; from < tokens.length; from += chunkTokens) {
      const chunk = tokens.slice(from, from + chunkTokens);
      await this.#append(chunk, from === 0 ? new Int32Array([0]) : new Int32Array(0), signal, this.shape.reading);
      await onChunk(chunk.length);
    }
  }

  /**
   * Makes the tail exactly `tokens`, of which there is at least one; the longest common beginning is kept, but for the last token:
   * an answer needs it to be the last one computed. `dense`: nothing is kept that attended to chosen pages only. Throws "cancelled";
   * what was read by then stays and is reused by the next call.
   */
  async readTail(
    tokens: Int32Array,
    dense: boolean,
    signal: AbortSignal,
    onProgress: (done: number, total: number) => void,
  ): Promise<{ reusedTokens: number; prefilledTokens: number }> {
    const most = Math.min(tokens.length - 1, dense ? this.#denseTail : this.#tail.length);
    let common = 0;
    while (common < most && tokens[common] === this.#tail[common]) common++;
    this.#shortenTail(common);
    const total = tokens.length - common;
    for (let from = common; from < tokens.length; from += chunkTokens) {
      const chunk = tokens.slice(from, from + chunkTokens);
      await this.#append(chunk, this.#tail.length > 0 ? new Int32Array(0) : new Int32Array([0]), signal);
      this.#extendTail(chunk, true);
      onProgress(Math.min(total, from + chunkTokens - common), total);
    }
    return { reusedTokens: common, prefilledTokens: total };
  }

  /** Decodes after the tail; the answer becomes a part of it. A cancelled run resolves with stop "cancelled". */
  async generate(
    options: GenerateOptions,
    signal: AbortSignal,
    onTokens: (tokens: Int32Array) => void,
  ): Promise<GenerateResult> {
    try {
      const result = await this.#cancellable(signal, () => this.#memory.generate(options, onTokens));
      this.#extendTail(result.tokens, options.selection.pageBudget === 0);
      return result;
    } catch (error) {
      this.#dropTail(); // how far it came is not known
      throw error;
    }
  }

  dispose(): void {
    this.#memory.dispose();
  }

  /** Takes what the store has of the documents that are not in memory, up to the first that it has not. */
  async #load(wanted: readonly WantedDocument[], signal: AbortSignal): Promise<void> {
    const { store } = this;
    // Behind something that was patched nothing is as the store has it.
    if (store === undefined || this.#firstPatched < this.#held.length) return;
    for (let index = this.#held.length; index < wanted.length; index++) {
      if (signal.aborted) throw new QuireError("cancelled", "Stopped.");
      const document = wanted[index];
      if (document === undefined || document.unsaved === true) return;
      const tokens = document.tokens.length;
      const segment = store.segmentOf(wanted, index);
      const position = tokensOf(this.#held);
      const piece = { segment, segmentTokens: tokens, page: 0, tokens, position };
      if (!(await this.#cancellable(signal, () => store.load(this.#memory, piece, document.tokens)))) return;
      this.#layout.insert(index, document, [piece]);
    }
  }

  /** Saves the pieces that were encoded and are not saved yet, but for what holds or saw unsaved text. */
  async #save(signal: AbortSignal): Promise<void> {
    const { store } = this;
    if (store === undefined) return;
    const inUse = (): string[] => this.#layout.pieces.flat().map(({ segment }) => segment);
    let native = 0;
    for (const [at, pieces] of this.#layout.pieces.entries()) {
      let from = 0;
      for (const piece of pieces) {
        const { segment, segmentTokens, tokens } = piece;
        if (!piece.saved && segment !== "" && piece.seen.size === 0 && tokens === segmentTokens) {
          if (signal.aborted) throw new QuireError("cancelled", "Stopped.");
          const ids = this.#held[at]?.tokens.slice(from, from + tokens) ?? new Int32Array(0);
          const index = native;
          piece.saved = await this.#cancellable(signal, () => store.save(this.#memory, index, ids, segment, inUse));
        }
        from += tokens;
        native++;
      }
    }
  }

  /**
   * Has what the memory holds written down, if all of it may be: else what was written down before is the nearest there is. `edited`: that
   * is only an older state of the same.
   */
  #remember(edited: boolean): void {
    if (this.#store === undefined || this.#held.some(({ unsaved }) => unsaved === true)) return;
    if (!this.#layout.pieces.flat().every(({ saved, seen }) => saved && seen.size === 0)) return;
    const documents = this.#held.map((document, at) => {
      return { ...document, pieces: (this.#layout.pieces[at] ?? []).map(toPiece) };
    });
    const replaces = edited ? this.#remembered : undefined;
    this.#remembered = this.#store.remember(documents, this.#patchedTokens, replaces);
  }

  #dropTail(): void {
    this.#shortenTail(0);
  }

  #shortenTail(length: number): void {
    if (length === this.#tail.length) return;
    if (length === 0) this.#memory.truncate(this.#nativeLength);
    else this.#memory.truncate(this.#nativeLength + 1, length);
    this.#tail = this.#tail.slice(0, length);
    this.#denseTail = Math.min(this.#denseTail, length);
  }

  #extendTail(tokens: Int32Array, dense: boolean): void {
    if (dense && this.#denseTail === this.#tail.length) this.#denseTail += tokens.length;
    this.#tail = Int32Array.from([...this.#tail, ...tokens]);
  }

  async #append(tokens: Int32Array, starts: Int32Array, signal: AbortSignal, reading?: Selection): Promise<void> {
    if (signal.aborted) throw new QuireError("cancelled", "Stopped.");
    await this.#cancellable(signal, () => this.#memory.append(tokens, starts, reading));
  }

  async #cancellable<Result>(signal: AbortSignal, call: () => Promise<Result>): Promise<Result> {
    const cancel = (): void => this.#memory.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await call();
    } catch (error) {
      throw fromNative(error);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }
}

function pagesIn(pieces: readonly (readonly number[])[]): number {
  return pieces.flat().reduce((sum, tokens) => sum + pagesFor(tokens), 0);
}

function commonPrefix(held: readonly WantedDocument[], wanted: readonly WantedDocument[]): number {
  const other = wanted.findIndex((document, index) => !isSameDocument(held[index], document));
  return other < 0 ? wanted.length : other;
}

function toPiece({ segment, segmentTokens, page, tokens, position }: Piece): Piece {
  return { segment, segmentTokens, page, tokens, position };
}
