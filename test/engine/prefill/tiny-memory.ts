// tiny-memory.ts — a small random model and documents of random tokens, for the tests of what a memory holds.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { readGguf } from "../../../engine/models/gguf.ts";
import { native } from "../../../engine/native.ts";
import type { WantedDocument } from "../../../engine/prefill/documents.ts";
import type { Model } from "../../../native/index.d.ts";
import { randomFrom, tinyModel, writeGguf } from "../models/gguf-writer.ts";

export const shape = { summary: "mean-spread", rope: { factor: 1, originalContext: 0 } } as const;
export const never = new AbortController().signal;

export function document(name: string, tokens: number, seed = 1): WantedDocument {
  const random = randomFrom(seed);
  return { path: name, tokens: Int32Array.from({ length: tokens }, () => Math.floor(random() * 280)) };
}

/** Opens a tiny model; `close` disposes of it and of its file. */
export async function openTiny(): Promise<{ model: Model; close: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), "quire-held-"));
  const file = path.join(folder, "tiny.gguf");
  await writeFile(file, writeGguf(tinyModel({ heads: 4, kvHeads: 2 })).bytes);
  const { geometry, tensors } = await readGguf(file);
  const model = await native().openModel({ path: file, geometry, tensors, threads: 1, cpu: "auto" });
  return {
    model,
    close: async () => {
      model.dispose();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
