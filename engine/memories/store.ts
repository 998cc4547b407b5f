// store.ts — the saved documents of one identity: loads them to the end of a memory, keeps what was read, in a folder of its own.
//
// In: documents in order, and the native memory that holds them up to an index. A file that is refused is deleted and its document read
// again; a document that cannot be saved is said once, and the answer goes on. It never puts anything into the workspace.

import { rm, stat } from "node:fs/promises";
import path from "node:path";
import type { Memory } from "../../native/index.d.ts";
import { fromNative } from "../native.ts";
import { ensureFolder } from "../paths.ts";
import { documentNames, type MemoryIdentity, rootName } from "./identity.ts";
import { DiskSpace } from "./space.ts";

export interface SavedDocument {
  path: string;
  tokens: Int32Array;
}

export interface StoreOptions {
  /** Of all memories. */
  folder: string;
  /** Bytes that all memories may take together. */
  cap: number;
  /** Of a page, as ModelInfo says. */
  pageBytes: number;
  /** Nothing is loaded, and what is saved replaces what was there. */
  fresh?: boolean;
  /** A sentence for the user. */
  say: (message: string) => void;
}

const pageTokens = 16;
/** Header, end and checksums, at most, beside pages and token ids; each page has 4 bytes more. */
const otherBytes = 256;

export class MemoryStore {
  readonly #options: StoreOptions;
  readonly #root: string;
  readonly #folder: string;
  readonly #space: DiskSpace;
  readonly #names = new WeakMap<readonly SavedDocument[], string[]>();
  #stopped = false;

  constructor(identity: MemoryIdentity, options: StoreOptions) {
    this.#options = options;
    this.#root = rootName(identity);
    this.#folder = path.join(options.folder, this.#root.slice(0, 16));
    this.#space = new DiskSpace(options.folder, options.cap);
  }

  /** Whether the last document is saved; then those before it most likely are. */
  async holds(documents: readonly SavedDocument[]): Promise<boolean> {
    const file = this.#files(documents).at(-1);
    if (this.#options.fresh === true) return false;
    return file !== undefined && (await exists(file));
  }

  /** Appends document `index` to the memory, which holds those before it. False: it must be read. Throws "cancelled". */
  async load(memory: Memory, documents: readonly SavedDocument[], index: number): Promise<boolean> {
    const document = documents[index];
    const file = this.#files(documents)[index];
    if (document === undefined || file === undefined || this.#options.fresh === true) return false;
    const { outcome } = await memory.loadDocument(document.tokens, path.basename(file), file);
    if (outcome === "refused") await rm(file, { force: true, recursive: true }).catch(() => undefined);
    return outcome === "loaded";
  }

  /** Saves document `index` of the memory where it is not saved yet. Throws "cancelled", nothing else. */
  async save(memory: Memory, documents: readonly SavedDocument[], index: number): Promise<void> {
    const document = documents[index];
    const files = this.#files(documents);
    const file = files[index];
    if (this.#stopped || document === undefined || file === undefined) return;
    if (this.#options.fresh === true) await rm(file, { force: true, recursive: true }).catch(() => undefined);
    else if (await exists(file)) return;
    const pages = Math.ceil(document.tokens.length / pageTokens);
    const bytes = pages * (this.#options.pageBytes + 4) + document.tokens.length * 4 + otherBytes;
    try {
      if (!(await this.#space.makeRoom(bytes, new Set(files)))) {
        this.#stop(`the ${this.#options.cap / 1e9} GB that memories may take (QUIRE_MEMORY_GB) are full`);
        return;
      }
      await ensureFolder(this.#options.folder);
      await ensureFolder(this.#folder);
      this.#space.added(await memory.saveDocument(index, document.tokens, path.basename(file), file));
    } catch (thrown) {
      const error = fromNative(thrown);
      if (error instanceof Error && "code" in error && error.code === "cancelled") throw error;
      const full = error instanceof Error && "code" in error && error.code === "disk-full";
      this.#stop(full ? "disk full" : error instanceof Error ? error.message : String(error));
    }
  }

  /** The documents were used just now. */
  async used(documents: readonly SavedDocument[]): Promise<void> {
    await this.#space.touch(this.#files(documents));
  }

  #stop(reason: string): void {
    this.#stopped = true;
    this.#options.say(`The memory of this repository is not saved: ${reason}.`);
  }

  #files(documents: readonly SavedDocument[]): string[] {
    const known = this.#names.get(documents);
    if (known !== undefined) return known;
    const files = documentNames(this.#root, documents).map((name) => path.join(this.#folder, name));
    this.#names.set(documents, files);
    return files;
  }
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
