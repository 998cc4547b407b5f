// store.ts — the saved pages of one identity: loads them into a memory, keeps what was read, in a folder of its own.
//
// In: documents in order, the native memory that holds them, and the pieces that they lie in. A segment that is refused is deleted and its
// document read again; what cannot be saved is said once, and the answer goes on. It never puts anything into the workspace.

import { open, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { Memory } from "../../native/index.d.ts";
import { fromNative } from "../native.ts";
import { ensureFolder } from "../paths.ts";
import { writeAbout } from "./about.ts";
import { documentHash, documentNames, type MemoryIdentity, rootName, segmentName, stateAfter } from "./identity.ts";
import {
  type Manifest,
  type ManifestDocument,
  type ManifestPiece,
  manifestEnding,
  manifestsIn,
  readManifest,
  workspaceName,
  writeManifest,
} from "./manifest.ts";
import { removeOutdated } from "./outdated.ts";
import { DiskSpace } from "./space.ts";
import { type DiskOperations, Writing, writeWhole } from "./writing.ts";

export interface SavedDocument {
  path: string;
  tokens: Int32Array;
}

/** A document with where its tokens lie. */
export interface PlacedDocument extends SavedDocument {
  pieces: ManifestPiece[];
}

/** A memory that can be loaded. */
export interface SavedMemory {
  documents: PlacedDocument[];
  /** How many of them, from the first, are as if read just now. */
  exact: number;
  patchedTokens: number;
}

export interface StoreOptions {
  /** Of all memories. */
  folder: string;
  /** Bytes that all memories may take together. */
  cap: number;
  /** Of a page, as ModelInfo says. */
  pageBytes: number;
  /** The workspace's folders: the manifests are its own. */
  workspace?: readonly string[];
  /** The model's name, for people. */
  model?: string;
  /** Nothing is loaded, and what is saved replaces what was there. */
  fresh?: boolean;
  /** A sentence for the user. */
  say: (message: string) => void;
  disk?: DiskOperations;
}

const pageTokens = 16;
/** Header, end and checksums, at most, beside pages and token ids; each page has 4 bytes more. */
const otherBytes = 256;
/** Where a segment's token ids begin. */
const idsOffset = 128;
/** What an edited document costs, about. */
const editedTokens = 200;
/** States of one workspace that are kept: of branches, mostly. */
const mostStates = 16;

export class MemoryStore {
  /** The state of an empty memory. */
  readonly root: string;
  readonly stateAfter = stateAfter;
  readonly nameOf = segmentName;
  readonly #options: StoreOptions;
  readonly #about: { abi: number; model: string; backend: string };
  readonly #folder: string;
  readonly #space: DiskSpace;
  readonly #writing: Writing;
  readonly #names = new WeakMap<readonly SavedDocument[], string[]>();
  #stopped = false;
  #cleaned = false;

  constructor(identity: MemoryIdentity, options: StoreOptions) {
    this.#options = options;
    this.root = rootName(identity);
    this.#about = { abi: identity.abi, model: options.model ?? "", backend: identity.backend };
    this.#folder = path.join(options.folder, this.root.slice(0, 16));
    this.#space = new DiskSpace(options.folder, options.cap);
    this.#writing = new Writing(this.#folder, (error) => this.#stop(error), options.disk);
  }

  /** The segment of document `index` where all up to it are read whole, in this order. */
  segmentOf(documents: readonly SavedDocument[], index: number): string {
    const names = this.#names.get(documents) ?? documentNames(this.root, documents);
    this.#names.set(documents, names);
    return names[index] ?? "";
  }

  /** How many documents, of which the first `from` are in memory so, can be had as if read just now. */
  async prefix(documents: readonly SavedDocument[], from: number): Promise<number> {
    await this.#clean();
    if (this.#options.fresh === true) return from;
    let count = from;
    while (count < documents.length && (await exists(this.#file(this.segmentOf(documents, count))))) count++;
    return count;
  }

  /** The saved memory that has most of these documents; undefined: there is none. */
  async recall(documents: readonly SavedDocument[]): Promise<SavedMemory | undefined> {
    if (this.#options.fresh === true) return undefined;
    const wanted = new Map(documents.map((document) => [documentHash(document), document]));
    let best: { manifest: Manifest; missing: number; usedMs: number } | undefined;
    for (const file of await this.#manifests()) {
      const manifest = await readManifest(file);
      if (manifest?.root !== this.root || manifest.abi !== this.#about.abi) {
        await rm(file, { force: true, recursive: true }).catch(() => undefined);
        continue;
      }
      const missing = missingIn(manifest, wanted);
      const usedMs = await changedMs(file);
      if (best === undefined || missing < best.missing || (missing === best.missing && usedMs > best.usedMs)) {
        best = { manifest, missing, usedMs };
      }
    }
    return best && this.#open(best.manifest, wanted);
  }

  /** Appends a piece, which holds these tokens, at its position. False: it must be encoded. Throws "cancelled". */
  async load(memory: Memory, piece: ManifestPiece, tokens: Int32Array): Promise<boolean> {
    if (this.#options.fresh === true) return false;
    const file = this.#file(piece.segment);
    const { segmentTokens, page, position } = piece;
    const { outcome } = await memory.loadDocument(tokens, piece.segment, file, { segmentTokens, page, position });
    if (outcome === "refused") await rm(file, { force: true, recursive: true }).catch(() => undefined);
    return outcome === "loaded";
  }

  /**
   * Saves the memory's own document `index` as a segment where it is not saved yet; `inUse` are the segments of the memory. It is on the
   * disk when settled() resolves. False: it is not kept. Throws "cancelled", nothing else.
   */
  async save(
    memory: Memory,
    index: number,
    tokens: Int32Array,
    segment: string,
    inUse: () => Iterable<string>,
  ): Promise<boolean> {
    if (this.#stopped) return false;
    const file = this.#file(segment);
    if (this.#writing.has(file)) return true;
    if (this.#options.fresh !== true && (await exists(file))) return true;
    const pages = Math.ceil(tokens.length / pageTokens);
    const bytes = pages * (this.#options.pageBytes + 4) + tokens.length * 4 + otherBytes;
    try {
      const keep = (): string[] => [...inUse()].map((name) => this.#file(name));
      if (!(await this.#space.makeRoom(bytes, keep))) {
        this.#say(`the ${this.#options.cap / 1e9} GB that memories may take (QUIRE_MEMORY_GB) are full`);
        return false;
      }
      await ensureFolder(this.#options.folder);
      await ensureFolder(this.#folder);
      await writeAbout(this.#folder, this.#about);
      const written = await memory.saveDocument(index, tokens, segment, this.#writing.temporary(file));
      this.#space.added(written);
      this.#writing.add(file, written);
      return true;
    } catch (thrown) {
      const error = fromNative(thrown);
      if (error instanceof Error && "code" in error && error.code === "cancelled") throw error;
      this.#stop(error);
      return false;
    }
  }

  /**
   * Writes down what the memory holds, once all of it is on the disk; what is not there is left out. `replaces`: the memory that was
   * written down before by this store was only an older state of the same.
   */
  remember(
    documents: readonly PlacedDocument[],
    patchedTokens: number,
    replaces: SavedMemoryFile | undefined,
  ): SavedMemoryFile {
    const result: SavedMemoryFile = { file: "" };
    this.#writing.afterwards(async (disk) => {
      if (this.#stopped) return;
      const kept: ManifestDocument[] = [];
      const segments = new Map<string, boolean>();
      for (const { pieces, ...document } of documents) {
        for (const { segment } of pieces) {
          if (!segments.has(segment)) segments.set(segment, await exists(this.#file(segment)));
        }
        if (pieces.every(({ segment }) => segments.get(segment))) {
          kept.push({ path: document.path, hash: documentHash(document), pieces });
        }
      }
      if (kept.length === 0) return;
      const state = kept.flatMap(({ pieces }) => pieces).reduce(stateAfter, this.root);
      const { workspace = [] } = this.#options;
      const { abi, model } = this.#about;
      const file = path.join(this.#folder, `${workspaceName(workspace)}.${state.slice(0, 32)}${manifestEnding}`);
      result.file = file;
      const header = { abi, root: this.root, workspace: [...workspace], model, patchedTokens };
      if (!(await exists(file))) {
        await writeWhole(disk, file, this.#writing.temporary(file), writeManifest({ ...header, documents: kept }));
      }
      if (replaces !== undefined && replaces.file !== "" && replaces.file !== file) await disk.remove(replaces.file);
      await this.#space.touch([file, ...[...segments.keys()].map((name) => this.#file(name))]);
      await this.#dropOldStates(disk);
    });
    return result;
  }

  /** Resolves when all that was saved is on the disk, or was said not to be. Never throws. */
  settled(): Promise<void> {
    return this.#writing.settled();
  }

  async #open({ documents, patchedTokens }: Manifest, wanted: Map<string, SavedDocument>): Promise<SavedMemory> {
    const found: PlacedDocument[] = [];
    for (const { path: name, hash, pieces } of documents) {
      const tokens = wanted.get(hash)?.tokens ?? (await this.#idsOf(pieces));
      const document = tokens && { path: name, tokens };
      if (document === undefined || documentHash(document) !== hash) continue;
      found.push({ ...document, pieces: pieces.map((piece) => ({ ...piece })) });
    }
    const names = documentNames(this.root, found);
    const isExact = ({ pieces }: PlacedDocument, index: number): boolean =>
      pieces.length === 1 && pieces[0]?.segment === names[index];
    const other = found.findIndex((document, index) => !isExact(document, index));
    return { documents: found, exact: other < 0 ? found.length : other, patchedTokens };
  }

  /** The token ids of pieces, as their segments say; loading compares them with what it checks. */
  async #idsOf(pieces: readonly ManifestPiece[]): Promise<Int32Array | undefined> {
    const parts: Int32Array[] = [];
    for (const { segment, page, tokens } of pieces) {
      const handle = await open(this.#file(segment), "r").catch(() => undefined);
      if (handle === undefined) return undefined;
      try {
        const { size } = await handle.stat();
        const from = idsOffset + 4 * pageTokens * page;
        if (from + 4 * tokens > size) return undefined;
        const ids = new Int32Array(tokens);
        const { bytesRead } = await handle.read(new Uint8Array(ids.buffer), 0, ids.byteLength, from);
        if (bytesRead !== ids.byteLength) return undefined;
        parts.push(ids);
      } catch {
        return undefined;
      } finally {
        await handle.close();
      }
    }
    const all = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #manifests(): Promise<string[]> {
    return manifestsIn(this.#folder, `${workspaceName(this.#options.workspace ?? [])}.`);
  }

  async #dropOldStates(disk: DiskOperations): Promise<void> {
    const files = await this.#manifests();
    if (files.length <= mostStates) return;
    const dated = await Promise.all(files.map(async (file) => ({ file, usedMs: await changedMs(file) })));
    dated.sort((a, b) => b.usedMs - a.usedMs);
    for (const { file } of dated.slice(mostStates)) await disk.remove(file);
  }

  /** Removes what an earlier version of Quire kept, once. */
  async #clean(): Promise<void> {
    if (this.#cleaned) return;
    this.#cleaned = true;
    const said = await removeOutdated(this.#options.folder, this.#about.abi);
    if (said !== undefined) this.#options.say(said);
  }

  #stop(error: unknown): void {
    const full = hasCode(error, "disk-full") || hasCode(error, "ENOSPC") || hasCode(error, "EDQUOT");
    this.#say(full ? "disk full" : error instanceof Error ? error.message : String(error));
  }

  #say(reason: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#options.say(`The memory of this repository is not saved: ${reason}.`);
  }

  #file(segment: string): string {
    return path.join(this.#folder, segment);
  }
}

/** A manifest that was or will be written; "" until then. */
export interface SavedMemoryFile {
  file: string;
}

/** Tokens that must be encoded, about: of an edited document some blocks, of one that is not there all. */
function missingIn({ documents }: Manifest, wanted: ReadonlyMap<string, SavedDocument>): number {
  const hashes = new Set(documents.map(({ hash }) => hash));
  const paths = new Set(documents.map(({ path: name }) => name));
  let missing = 0;
  for (const [hash, { path: name, tokens }] of wanted) {
    if (!hashes.has(hash)) missing += paths.has(name) ? Math.min(editedTokens, tokens.length) : tokens.length;
  }
  return missing;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

async function changedMs(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.mtimeMs ?? 0;
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
