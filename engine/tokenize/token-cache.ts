// token-cache.ts — token ids of texts that were encoded before, by the hash of the text: in memory, and in one file per tokenizer.
//
// In: texts' keys and ids. Out: ids, or nothing. The least recently used go first. The file carries the tokenizer's hash and a
// checksum over everything; on any doubt it is as if it were not there. It must not fail: a cache that cannot be read or written is
// empty.

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { setImmediate } from "node:timers/promises";

// File: magic, tokenizer hash, then per text its key, the number of ids and the ids (little-endian, 32 bits), then SHA-256 of all that.
const magic = Buffer.from("quire tokens 1\n\0", "latin1");
const keyBytes = 32;
const hashBytes = 32;
const entryBytes = 96; // what an entry costs beside its ids, about
const pieceBytes = 4 << 20; // between two looks at the event loop
const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

export interface TokenCacheOptions {
  /** The per-user folder for it; null: in memory only. */
  folder: string | null;
  tokenizerHash: string;
  vocabularySize: number;
  /** Bytes of ids kept, in memory as on disk. */
  maxBytes?: number;
}

/** The key of a text. */
export function keyOf(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("binary");
}

export class TokenCache {
  readonly #file: string | null;
  readonly #tokenizerHash: Buffer;
  readonly #vocabularySize: number;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Int32Array>();
  #bytes = 0;
  #changed = false;
  #saving = false;

  private constructor({ folder, tokenizerHash, vocabularySize, maxBytes = 128 << 20 }: TokenCacheOptions) {
    this.#file = folder === null ? null : path.join(folder, `${tokenizerHash.slice(0, 16)}.tokens`);
    this.#tokenizerHash = Buffer.from(tokenizerHash, "hex");
    this.#vocabularySize = vocabularySize;
    this.#maxBytes = maxBytes;
  }

  /** A cache with what its file holds, if it holds anything that can be trusted. */
  static async open(options: TokenCacheOptions): Promise<TokenCache> {
    const cache = new TokenCache(options);
    await cache.#load();
    return cache;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The ids of a text, not to be written to. */
  get(key: string): Int32Array | undefined {
    const ids = this.#entries.get(key);
    if (ids !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, ids);
    }
    return ids;
  }

  set(key: string, ids: Int32Array): void {
    const known = this.#entries.get(key);
    if (known !== undefined) this.#drop(key, known);
    this.#entries.set(key, ids);
    this.#bytes += ids.byteLength + entryBytes;
    this.#changed = true;
    for (const [oldest, old] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(oldest, old);
    }
  }

  /** Writes the file if anything is new: beside it, then renamed. False when it could not be written. */
  async save(): Promise<boolean> {
    if (this.#file === null || !this.#changed || this.#saving || !littleEndian) return false;
    this.#saving = true;
    const temporary = `${this.#file}.${process.pid}.tmp`;
    try {
      await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 });
      this.#changed = false; // what is set from here on is written the next time
      await writeFile(temporary, this.#contents([...this.#entries]), { mode: 0o600 });
      await rename(temporary, this.#file);
      return true;
    } catch {
      this.#changed = true;
      await rm(temporary, { force: true }).catch(() => {});
      return false;
    } finally {
      this.#saving = false;
    }
  }

  /** The file, in pieces. */
  async *#contents(entries: readonly [string, Int32Array][]): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256");
    let parts: Uint8Array[] = [magic, this.#tokenizerHash];
    let bytes = 0;
    for (const [key, ids] of entries) {
      parts.push(Buffer.from(key, "latin1"), new Uint8Array(Uint32Array.of(ids.length).buffer));
      parts.push(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
      bytes += ids.byteLength + entryBytes;
      if (bytes < pieceBytes) continue;
      const piece = Buffer.concat(parts);
      hash.update(piece);
      yield piece;
      parts = [];
      bytes = 0;
    }
    const rest = Buffer.concat(parts);
    yield rest;
    yield hash.update(rest).digest();
  }

  #drop(key: string, ids: Int32Array): void {
    this.#entries.delete(key);
    this.#bytes -= ids.byteLength + entryBytes;
  }

  async #load(): Promise<void> {
    if (this.#file === null || !littleEndian) return;
    try {
      if ((await stat(this.#file)).size > 2 * this.#maxBytes) return;
      for (const [key, ids] of (await this.#parse(await readFile(this.#file))) ?? []) this.set(key, ids);
    } catch {
      // Not there or not readable: an empty cache.
    }
    this.#changed = false;
  }

  /** The entries of a file, or null where anything is not as it must be. */
  async #parse(file: Buffer): Promise<[string, Int32Array][] | null> {
    const end = file.length - hashBytes;
    let at = magic.length + hashBytes;
    if (end < at || !file.subarray(0, magic.length).equals(magic)) return null;
    if (!file.subarray(magic.length, at).equals(this.#tokenizerHash)) return null;
    const hash = createHash("sha256");
    for (let from = 0; from < end; from += pieceBytes) {
      hash.update(file.subarray(from, Math.min(end, from + pieceBytes)));
      await setImmediate();
    }
    if (!hash.digest().equals(file.subarray(end))) return null;
    const entries: [string, Int32Array][] = [];
    for (let next = at; at < end; ) {
      if (at >= next) {
        await setImmediate();
        next = at + pieceBytes;
      }
      if (end - at < keyBytes + 4) return null;
      const key = file.toString("latin1", at, at + keyBytes);
      const count = file.readUInt32LE(at + keyBytes);
      at += keyBytes + 4;
      if (count > (end - at) / 4) return null;
      const ids = new Int32Array(count);
      new Uint8Array(ids.buffer).set(file.subarray(at, at + 4 * count));
      if (ids.some((id) => id < 0 || id >= this.#vocabularySize)) return null;
      entries.push([key, ids]);
      at += 4 * count;
    }
    return entries;
  }
}
