// held-memory.ts — a native memory together with what it holds: which document, with which token ids.
//
// In: the documents that should be in memory, in order. It keeps the longest prefix of whole documents whose token ids are the
// same (ids are compared, never hashes alone), and prefills the rest in chunks with progress. Behind them lies a tail, the private
// tokens of a thread, kept in step with the tokens wanted in the same way. It decides nothing about which tokens those are.

import type { GenerateOptions, GenerateResult, Memory, Model, Selection } from "../../native/index.d.ts";
import { QuireError } from "../errors.ts";
import { fromNative, type Native } from "../native.ts";
import { isSameDocument, pagesFor, pagesOf, tokensOf, type WantedDocument } from "./documents.ts";
import { applyEdits, type Layout, nativeIndex } from "./edit-memory.ts";
import { type BeginningsOf, type Edits, planEdits } from "./edits.ts";

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

/** How a read may use a memory of an older state of the repository. */
export interface EditOptions {
  beginningsOf: BeginningsOf;
  /** Pages that must be free afterwards, for the tail. */
  reservedPages: number;
}

/** Where documents are kept between processes (engine/memories/store.ts). */
export interface DocumentStore {
  /** Whether the last document is saved; then those before it most likely are. */
  holds(documents: readonly WantedDocument[]): Promise<boolean>;
  /** Appends document `index` to the memory, which holds those before it. False: it must be read. Throws "cancelled". */
  load(memory: Memory, documents: readonly WantedDocument[], index: number): Promise<boolean>;
  /** Saves document `index` of the memory. Throws "cancelled", nothing else. */
  save(memory: Memory, documents: readonly WantedDocument[], index: number): Promise<void>;
  /** The documents were used just now. */
  used(documents: readonly WantedDocument[]): Promise<void>;
}

/** Tokens of one native call. The weights are read once per chunk, and progress is said once per chunk. */
const chunkTokens = 512;
/** Tokens of a document that choose pages together where it is read sparsely: a chunk may not end inside them. */
const blockTokens = 64;

export class HeldMemory {
  readonly shape: MemoryShape;
  readonly capacityPages: number;
  readonly #memory: Memory;
  /** The documents, and the pieces that each lies in since it was edited in place. */
  readonly #layout: Layout = { held: [], pieces: [] };
  /** Documents before this one are as if read just now. */
  #firstPatched = Number.POSITIVE_INFINITY;
  #patchedTokens = 0;
  /** How many of them, from the first, are known to be in the store. */
  #saved = 0;
  /** Token ids behind the documents. */
  #tail = new Int32Array(0);
  /** How many of these, from the first, attended to everything before them. */
  #denseTail = 0;
  /** Documents are loaded from it before they are read, and saved to it; undefined: nothing is kept. */
  store: DocumentStore | undefined;

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
    return [...this.#layout.pieces, ...tail].map((pieces) => {
      const first = page;
      page += pagesIn([pieces]);
      return first;
    });
  }

  /** Whether the documents and `tailTokens` more fit its capacity. */
  fits(wanted: readonly WantedDocument[], tailTokens: number): boolean {
    return pagesOf(wanted) + this.brokenPages + pagesFor(tailTokens) + 1 <= this.capacityPages;
  }

  /** Pages more than the documents would take had none of them been edited in place. */
  get brokenPages(): number {
    return pagesIn(this.#layout.pieces) - pagesOf(this.#held);
  }

  /** How many of the wanted documents are in memory already, from the first on. */
  commonPrefix(wanted: readonly WantedDocument[]): number {
    let count = 0;
    for (const [index, document] of wanted.entries()) {
      if (!isSameDocument(this.#held[index], document)) break;
      count++;
    }
    return count;
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
    const planned = await this.#planEdits(wanted, edits);
    if (planned !== undefined) return this.#edit(planned, wanted, signal, onProgress, now);
    const common = Math.min(this.commonPrefix(wanted), edits === undefined ? this.#firstPatched : wanted.length);
    if (common < wanted.length || common < this.#held.length) {
      this.#dropTail();
      this.#shorten(common);
    }
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
        for (const document of chunk.completed) this.#push(document);
        partial = chunk.unfinished;
        await this.#save(wanted, signal);
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
    await this.#save(wanted, signal);
    await this.store?.used(wanted);
    return {
      reusedTokens,
      restoredTokens: reusedTokens - heldTokens,
      prefilledTokens: done,
      patchedTokens: this.#patchedTokens,
      seconds: (now() - begin) / 1000,
    };
  }

  /** Encodes in place what changed of the documents; undefined where nothing did, or where they must be read. Throws "cancelled". */
  async follow(
    wanted: readonly WantedDocument[],
    signal: AbortSignal,
    edits: EditOptions,
  ): Promise<ReadOutcome | undefined> {
    const planned = await this.#planEdits(wanted, edits);
    if (planned === undefined) return undefined;
    return this.#edit(
      planned,
      wanted,
      signal,
      () => {},
      () => performance.now(),
    );
  }

  get #held(): WantedDocument[] {
    return this.#layout.held;
  }

  /** How many of the memory's own documents hold the documents. */
  get #nativeLength(): number {
    return nativeIndex(this.#layout.pieces, this.#layout.pieces.length);
  }

  #push(document: WantedDocument): void {
    this.#layout.held.push(document);
    this.#layout.pieces.push([document.tokens.length]);
  }

  /** Keeps the first `count` documents; there is no tail. */
  #shorten(count: number): void {
    this.#memory.truncate(nativeIndex(this.#layout.pieces, count));
    this.#layout.held.length = count;
    this.#layout.pieces.length = count;
    this.#saved = Math.min(this.#saved, count);
    if (count > this.#firstPatched) return;
    this.#firstPatched = Number.POSITIVE_INFINITY;
    this.#patchedTokens = 0;
  }

  /** Undefined: read on from the first difference, as where nothing is held, or all that is wanted was read before. */
  async #planEdits(wanted: readonly WantedDocument[], edits: EditOptions | undefined): Promise<Edits | undefined> {
    if (edits === undefined || this.#held.length === 0) return undefined;
    const { held, pieces } = this.#layout;
    const planned = planEdits({ held, pieces, patchedTokens: this.#patchedTokens }, wanted, edits.beginningsOf);
    if (planned === undefined || (await this.store?.holds(wanted)) === true) return undefined;
    // Old and new lie beside each other for a while, and each edit may break two pages.
    const changes = planned.steps.filter(({ kind }) => kind !== "keep").length;
    const needed = pagesIn(pieces) + pagesFor(planned.tokens) + 3 * changes + edits.reservedPages;
    return needed <= this.capacityPages ? planned : undefined;
  }

  async #edit(
    { steps, tokens: total }: Edits,
    wanted: readonly WantedDocument[],
    signal: AbortSignal,
    onProgress: (progress: ReadProgress) => void,
    now: () => number,
  ): Promise<ReadOutcome> {
    const begin = now();
    const first = steps.findIndex(({ kind }) => kind !== "keep");
    let done = 0;
    this.#dropTail();
    this.#saved = Math.min(this.#saved, first);
    this.#firstPatched = Math.min(this.#firstPatched, first);
    try {
      await applyEdits(this.#memory, this.#layout, steps, async (tokens) => {
        for (let from = 0; from < tokens.length; from += chunkTokens) {
          const chunk = tokens.slice(from, from + chunkTokens);
          await this.#append(chunk, from === 0 ? new Int32Array([0]) : new Int32Array(0), signal, this.shape.reading);
          done += chunk.length;
          const tokensPerSecond = done / Math.max((now() - begin) / 1000, 1e-3);
          onProgress({ done, total, tokensPerSecond, secondsLeft: (total - done) / tokensPerSecond });
        }
      });
    } finally {
      this.#patchedTokens += done;
    }
    return {
      reusedTokens: tokensOf(wanted) - done,
      restoredTokens: 0,
      prefilledTokens: done,
      patchedTokens: this.#patchedTokens,
      seconds: (now() - begin) / 1000,
    };
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
    if (store === undefined) return;
    for (let index = this.#held.length; index < wanted.length; index++) {
      if (signal.aborted) throw new QuireError("cancelled", "Stopped.");
      const document = wanted[index];
      if (document?.unsaved === true) return;
      if (document === undefined || !(await this.#cancellable(signal, () => store.load(this.#memory, wanted, index)))) {
        return;
      }
      this.#push(document);
      this.#saved = this.#held.length;
    }
  }

  /** Saves the documents in memory that are not saved yet, up to the first that is made from unsaved text. */
  async #save(wanted: readonly WantedDocument[], signal: AbortSignal): Promise<void> {
    const { store } = this;
    if (store === undefined) return;
    const unsaved = wanted.findIndex((document) => document.unsaved === true);
    const end = Math.min(this.#held.length, this.#firstPatched, unsaved < 0 ? wanted.length : unsaved);
    for (; this.#saved < end; this.#saved++) {
      if (signal.aborted) throw new QuireError("cancelled", "Stopped.");
      const index = this.#saved;
      await this.#cancellable(signal, () => store.save(this.#memory, wanted, index));
    }
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

interface Chunk {
  tokens: Int32Array;
  starts: Int32Array;
  /** Documents whose last token is in this chunk. */
  completed: WantedDocument[];
  /** The document that goes on in the next chunk. */
  unfinished: WantedDocument | undefined;
}

/**
 * Cuts documents into chunks of at most chunkTokens; a chunk may hold several documents or a part of one, which begins and ends at
 * a multiple of `unit` tokens.
 */
function* chunksOf(documents: readonly WantedDocument[], unit: number): Generator<Chunk> {
  let tokens: number[] = [];
  let starts: number[] = [];
  let completed: WantedDocument[] = [];
  for (const document of documents) {
    for (let from = 0; from < document.tokens.length; ) {
      const room = from + chunkTokens - tokens.length;
      const until = room >= document.tokens.length ? document.tokens.length : room - (room % unit);
      if (from === 0 && until > 0) starts.push(tokens.length);
      for (const token of document.tokens.subarray(from, until)) tokens.push(token);
      from = until;
      const whole = from === document.tokens.length;
      if (whole) completed.push(document);
      if (!whole || tokens.length === chunkTokens) {
        yield {
          tokens: Int32Array.from(tokens),
          starts: Int32Array.from(starts),
          completed,
          unfinished: whole || from === 0 ? undefined : document,
        };
        tokens = [];
        starts = [];
        completed = [];
      }
    }
  }
  if (tokens.length > 0) {
    yield { tokens: Int32Array.from(tokens), starts: Int32Array.from(starts), completed, unfinished: undefined };
  }
}
