// reading.ts — a small random model, documents for it, and a memory with a store, as the tests of saved memory and the child
// processes that they kill need them.

import path from "node:path";
import { MemoryStore } from "../../../engine/memories/store.ts";
import { type DiskOperations, realDisk } from "../../../engine/memories/writing.ts";
import { type GgufModel, readGguf } from "../../../engine/models/gguf.ts";
import { native } from "../../../engine/native.ts";
import type { WantedDocument } from "../../../engine/prefill/documents.ts";
import { HeldMemory } from "../../../engine/prefill/held-memory.ts";
import type { Memory, Model } from "../../../native/index.d.ts";
import { dense, options } from "../generate-options.ts";
import { randomFrom } from "../models/gguf-writer.ts";

export const shape = { summary: "mean-spread", rope: { factor: 1, originalContext: 0 } } as const;
export const never = new AbortController().signal;
export const quiet = (): void => {};

export function documentOf(name: string, tokens: number, seed: number): WantedDocument {
  const random = randomFrom(seed);
  return { path: name, tokens: Int32Array.from({ length: tokens }, () => Math.floor(random() * 280)) };
}

/** Part pages, a page exactly, longer than a chunk, several in a chunk. */
export const documents = [30, 16, 700, 5, 1, 200, 90, 600].map((tokens, i) =>
  documentOf(`file-${i}.ts`, tokens, i + 1),
);

export async function openTiny(file: string): Promise<{ model: Model; gguf: GgufModel }> {
  const gguf = await readGguf(file);
  const { geometry, tensors } = gguf;
  return { gguf, model: await native().openModel({ path: file, geometry, tensors, threads: 1, cpu: "auto" }) };
}

export function storeIn(
  home: string,
  { model, gguf }: { model: Model; gguf: GgufModel },
  {
    cap = 1e9,
    say = quiet,
    modelHash = "ab",
    disk = realDisk,
    workspace = ["/w"],
  }: {
    cap?: number;
    say?: (message: string) => void;
    modelHash?: string;
    disk?: DiskOperations;
    workspace?: string[];
  } = {},
): MemoryStore {
  const { backend, pageBytes } = model.info;
  const identity = { abi: native().Memory.abi, modelHash, geometry: gguf.geometry, backend, ...shape };
  return new MemoryStore(identity, { folder: path.join(home, "memories"), cap, pageBytes, say, disk, workspace });
}

/** Every tenth token begins a block. */
export const edits = {
  reservedPages: 8,
  beginningsOf: (tokens: Int32Array) => Uint8Array.from(tokens, (_, i) => (i % 10 === 0 ? 2 : 0)),
};

/** The document with one token changed and others put in behind it. */
export function changed({ path: name, tokens }: WantedDocument, at: number, ...added: number[]): WantedDocument {
  return { path: name, tokens: Int32Array.from([...tokens.slice(0, at), 281, ...added, ...tokens.slice(at + 1)]) };
}

export const editedDocuments = documents.map((document, i) => (i === 5 ? changed(document, 33, 7, 8) : document));

const handles = new WeakMap<HeldMemory, Memory>();

export function heldWith(model: Model, store: MemoryStore | undefined, pages = 200): HeldMemory {
  const real = native();
  let handle: Memory | undefined;
  class Spied extends real.Memory {
    constructor(...given: ConstructorParameters<typeof real.Memory>) {
      super(...given);
      handle = this;
    }
  }
  const held = new HeldMemory({ ...real, Memory: Spied } as ReturnType<typeof native>, model, shape, pages);
  if (handle !== undefined) handles.set(held, handle);
  held.store = store;
  return held;
}

/** Of the bits of all that it holds. */
export function digestOf(held: HeldMemory): string {
  return handles.get(held)?.digest() ?? "";
}

const greedy = options({ maxTokens: 24, selection: { ...dense, pageBudget: 256 } });

/** The tokens that follow a question, with page selection on. */
export async function answerOf(held: HeldMemory): Promise<number[]> {
  await held.readTail(documentOf("question", 20, 99).tokens, false, never, quiet);
  return [...(await held.generate(greedy, never, quiet)).tokens];
}
