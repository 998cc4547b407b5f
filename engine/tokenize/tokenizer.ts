// tokenizer.ts — text to token ids and back, with the vocabulary and merges of a GGUF.
//
// In: a tokenizer's metadata. Out: ids equal to llama.cpp's. Text of a repository or a user goes through `encode`, for which
// control tokens do not exist, so that `<|im_start|>` in a file is only its characters; a chat template's own pieces go
// through `encodeTemplate`. Vocabulary, merges and the splitting at special tokens are `@huggingface/tokenizers`'; in front
// of its merges stands a table of the words already seen, because most words of a source file were (it runs them at about
// 100 k words/s, the table at several million). It must not read files or know of models.

import { setImmediate } from "node:timers/promises";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { QuireError } from "../errors.ts";
import { alphabet, spell, unspell } from "./byte-level.ts";
import type { PreTokenizer } from "./pre-tokenizers.ts";
import { StreamDecoder } from "./stream-decoder.ts";
import {
  checkKind,
  checkMerges,
  checkShape,
  hashSource,
  type TokenizerSource,
  tokenizerJson,
  tokenType,
} from "./tokenizer-source.ts";

// A word longer than this is cut; llama.cpp does not cut. Merging costs memory and n·log n time in the word's length, and a
// megabyte without a space, punctuation mark or change of kind is not text that a model was trained on.
const maxWordLength = 4_096;
// Words in the table before it is emptied; some 30 MB. A repository of 10 MB has about 150 k different ones.
const maxWords = 400_000;
// Between two looks at the event loop; some 5 ms.
const entriesAtOnce = 2_048;
// V8 keeps the whole text alive for a slice of 13 characters or more.
const sharedFrom = 13;

export class Tokenizer {
  /** SHA-256, in hex, of everything that decides about ids. */
  readonly hash: string;
  readonly vocabularySize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly addBos: boolean;
  readonly #source: TokenizerSource;
  readonly #library: Library;
  readonly #merge: (words: string[]) => string[];
  readonly #idOf: ReadonlyMap<string, number>;
  readonly #pattern: RegExp;
  readonly #userDefined: RegExp | null;
  #words = new Map<string, number | readonly number[]>();
  readonly #bytes: (Uint8Array | undefined)[] = [];

  /** Throws "unsupported-model" for another kind of tokenizer, "invalid-model" where the metadata contradicts itself. */
  constructor(source: TokenizerSource, built: Built = buildAtOnce(source)) {
    const { pre } = built;
    this.#source = source;
    this.hash = built.hash;
    this.vocabularySize = source.tokens.length;
    this.bosId = source.bosId;
    this.eosId = source.eosId;
    this.addBos = source.addBos ?? false;
    this.#library = built.library;
    const model = this.#library.model;
    if (model === null) throw new QuireError("internal", "The tokenizer has no model.");
    this.#merge = (words) => model.encode(words);
    this.#idOf = model.tokens_to_ids;
    this.#pattern = new RegExp(pre.pattern, "uy");
    this.#userDefined = matcher(
      source.tokens.filter((token, id) => source.tokenTypes[id] === tokenType.userDefined && token !== ""),
    );
  }

  /** Like the constructor, in steps between which others run: a large vocabulary takes most of a second. */
  static async create(source: TokenizerSource): Promise<Tokenizer> {
    const pre = checkKind(source);
    checkShape(source);
    await setImmediate();
    checkMerges(source);
    await setImmediate();
    const hash = hashSource(source);
    await setImmediate();
    const library = new Library(tokenizerJson(source, pre, false), {});
    const { model } = library;
    const ranks = model !== null && "bpe_ranks" in model ? model.bpe_ranks : undefined;
    // The library takes vocabulary and merges only at once; its tables are filled as it would fill them (a test compares).
    if (model === null || !(ranks instanceof Map)) return new Tokenizer(source);
    for (const [id, token] of source.tokens.entries()) {
      if (id % entriesAtOnce === 0) await setImmediate();
      model.tokens_to_ids.set(token, id);
    }
    for (const [rank, merge] of source.merges.entries()) {
      if (rank % entriesAtOnce === 0) await setImmediate();
      ranks.set(JSON.stringify(merge.split(" ", 2)), rank);
    }
    return new Tokenizer(source, { pre, hash, library });
  }

  /**
   * Ids of a text in which control tokens mean nothing. As in llama.cpp, user-defined tokens (Qwen's `<tool_call>`) are still
   * found: they steer nothing. Lone surrogates are read as U+FFFD. Bytes that the vocabulary lacks (see `lacks`) give no token.
   */
  encode(text: string): Int32Array {
    const slices = this.encodeInSlices(text, Number.POSITIVE_INFINITY);
    for (let slice = slices.next(); ; slice = slices.next()) if (slice.done) return slice.value;
  }

  /** Like `encode`, with a pause after every `length` characters or a little more, for texts that take long. */
  *encodeInSlices(text: string, length: number): Generator<undefined, Int32Array> {
    const ids = new Ids();
    let start = 0;
    for (const match of this.#userDefined === null ? [] : text.matchAll(this.#userDefined)) {
      yield* this.#addText(text.slice(start, match.index), length, ids);
      ids.push(this.#idOf.get(match[0]) ?? 0);
      start = match.index + match[0].length;
    }
    yield* this.#addText(start === 0 ? text : text.slice(start), length, ids);
    return ids.take();
  }

  /** Ids of a chat template's own text, in which control tokens are tokens. Never for text from outside. */
  encodeTemplate(text: string): Int32Array {
    return text === ""
      ? new Int32Array(0)
      : Int32Array.from(this.#library.encode(text, { add_special_tokens: false }).ids);
  }

  /** The text of these ids; control tokens give none, bytes that are no UTF-8 give U+FFFD. */
  decode(ids: Iterable<number>): string {
    const stream = this.stream();
    return stream.push(ids) + stream.end();
  }

  /** A decoder for ids that come a few at a time. */
  stream(): StreamDecoder {
    return new StreamDecoder((id) => this.bytesOf(id));
  }

  /** The bytes that a token stands for; none for control, unknown and unused tokens and for ids out of range. */
  bytesOf(id: number): Uint8Array {
    let bytes = this.#bytes[id];
    if (bytes === undefined) {
      const token = this.#source.tokens[id] ?? "";
      const type = this.#source.tokenTypes[id];
      if (type === tokenType.userDefined) bytes = new TextEncoder().encode(token);
      else if (type === tokenType.normal) bytes = unspell(token) ?? new TextEncoder().encode(token);
      else bytes = new Uint8Array(0);
      if (id >= 0 && id < this.vocabularySize) this.#bytes[id] = bytes;
    }
    return bytes;
  }

  /** The id of a token by its exact spelling, control tokens too. */
  idOf(token: string): number | undefined {
    return this.#idOf.get(token);
  }

  /** A token as the vocabulary spells it; "" for an id out of range. */
  spellingOf(id: number): string {
    return this.#source.tokens[id] ?? "";
  }

  /** The bytes for which the vocabulary has no token; a text's round trip is exact but for them. */
  lacks(): number[] {
    return alphabet.flatMap((char, byte) => (this.#idOf.has(char) ? [] : [byte]));
  }

  /** True for tokens that are not text: control and unknown ones. */
  isControl(id: number): boolean {
    const type = this.#source.tokenTypes[id];
    return type === tokenType.control || type === tokenType.unknown;
  }

  /** Cuts a text into words and adds their ids. */
  *#addText(text: string, length: number, ids: Ids): Generator<undefined, void> {
    const pattern = this.#pattern;
    let pause = length;
    for (let at = 0; at < text.length; ) {
      pattern.lastIndex = at;
      // Where nothing matches, llama.cpp makes a word of one character.
      const next = pattern.test(text) ? pattern.lastIndex : at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1);
      // A word that is too long is cut, never inside a surrogate pair.
      for (let end = next; at < next; at = end) {
        end = next - at <= maxWordLength ? next : at + maxWordLength;
        if (end < next && (text.charCodeAt(end) & 0xfc00) === 0xdc00) end--;
        this.#addWord(text.slice(at, end), ids);
        if (end >= pause) {
          pause = end + length;
          yield;
        }
      }
    }
  }

  #addWord(word: string, out: Ids): void {
    let ids = this.#words.get(word);
    if (ids === undefined) {
      ids = this.#encodeWord(word);
      if (this.#words.size >= maxWords) this.#words = new Map();
      this.#words.set(word.length < sharedFrom ? word : detached(word), ids);
    }
    if (typeof ids === "number") out.push(ids);
    else for (const id of ids) out.push(id);
  }

  #encodeWord(word: string): number | readonly number[] {
    const ids: number[] = [];
    for (const piece of this.#merge([spell(word)])) {
      const id = this.#idOf.get(piece);
      if (id !== undefined) ids.push(id);
    }
    return ids.length === 1 && ids[0] !== undefined ? ids[0] : ids;
  }
}

/** What takes long to make of a tokenizer's metadata. */
interface Built {
  pre: PreTokenizer;
  hash: string;
  library: Library;
}

function buildAtOnce(source: TokenizerSource): Built {
  const pre = checkKind(source);
  checkShape(source);
  checkMerges(source);
  return { pre, hash: hashSource(source), library: new Library(tokenizerJson(source, pre), {}) };
}

/** A list of ids that grows. */
class Ids {
  #ids = new Int32Array(1 << 10);
  #length = 0;

  push(id: number): void {
    if (this.#length === this.#ids.length) {
      const larger = new Int32Array(this.#ids.length * 2);
      larger.set(this.#ids);
      this.#ids = larger;
    }
    this.#ids[this.#length++] = id;
  }

  take(): Int32Array {
    return this.#ids.slice(0, this.#length);
  }
}

/** The same text in memory of its own. */
function detached(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}

/** An expression that finds the longest of these texts, or null when there are none. */
function matcher(texts: string[]): RegExp | null {
  if (texts.length === 0) return null;
  const sorted = [...texts].sort((a, b) => b.length - a.length);
  return new RegExp(sorted.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/gu, "\\$&")).join("|"), "gu");
}
