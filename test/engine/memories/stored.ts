// stored.ts — a folder of memories as the store leaves it, with small files in place of pages: for tests of what handles whole files.

import { createHash } from "node:crypto";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Manifest, manifestEnding, workspaceName, writeManifest } from "../../../engine/memories/manifest.ts";

export const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

export interface StoredState {
  workspace: string[];
  /** Names of documents; equal names in one identity are one segment. */
  documents: string[];
  usedMs: number;
  patchedTokens?: number;
  model?: string;
}

/** Bytes of each segment, and tokens of each document. */
export const segmentBytes = 1000;
export const documentTokens = 40;

/** Writes the segments and the manifest of one state; the segments' files, in order, and the manifest's. */
export function storeState(folder: string, state: StoredState): { segments: string[]; manifest: string } {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { workspace, documents, usedMs, patchedTokens = 0, model = "small" } = state;
  const segments = documents.map((name) => path.join(folder, hashOf(name)));
  const root = hashOf(path.basename(folder));
  const manifest: Manifest = {
    abi: 7,
    root,
    workspace,
    model,
    patchedTokens,
    documents: documents.map((name, index) => ({
      path: name,
      hash: hashOf(`document ${name}`),
      pieces: [
        { segment: hashOf(name), segmentTokens: documentTokens, page: 0, tokens: documentTokens, position: 48 * index },
      ],
    })),
  };
  const name = `${workspaceName(workspace)}.${hashOf(documents.join()).slice(0, 32)}${manifestEnding}`;
  const file = path.join(folder, name);
  for (const segment of segments) writeFileSync(segment, Buffer.alloc(segmentBytes, 1), { mode: 0o600 });
  writeFileSync(file, writeManifest(manifest), { mode: 0o600 });
  for (const [index, used] of [file, ...segments].entries()) {
    const when = new Date(usedMs - index);
    utimesSync(used, when, when);
  }
  return { segments, manifest: file };
}
