// identity.ts — names of saved pages: each a hash of everything that their keys and values depend on.
//
// In: the model and the way it reads, then what lies before in a memory, piece by piece. Out: hex names. A *state* stands for the identity
// and all pieces so far, because keys depend on what they attended to; so a file is only ever found where its bytes are right. Pure.

import { createHash } from "node:crypto";
import type { Geometry, RopeScaling, Selection } from "../../native/index.d.ts";

export interface MemoryIdentity {
  /** Memory.abi of the addon. */
  abi: number;
  /** SHA-256 of the model file. */
  modelHash: string;
  geometry: Geometry;
  rope: RopeScaling;
  summary: string;
  /** How it was read, where it was read sparsely. */
  reading?: Selection;
  /** ModelInfo.backend: instruction sets round differently. */
  backend: string;
}

/** Pages of a segment that lie in a memory. */
export interface PieceName {
  /** Name of the segment. */
  segment: string;
  /** First page, within the segment. */
  page: number;
  tokens: number;
}

/** Raised when what these names are made of changes. */
export const namesVersion = 2;

/** The state of an empty memory, in hex. */
export function rootName(identity: MemoryIdentity): string {
  const whole = { namesVersion, ...identity, kv: "f16", layout: 1, firstPosition: 0 };
  return createHash("sha256").update(canonical(whole)).digest("hex");
}

/** The state behind a piece. Positions need no mention: what lies before and the segment's name decide them. */
export function stateAfter(state: string, { segment, page, tokens }: PieceName): string {
  return createHash("sha256")
    .update(Buffer.from(state, "hex"))
    .update(Buffer.from(segment, "hex"))
    .update(integers(page, tokens))
    .digest("hex");
}

/** The name of a segment that is encoded behind `state`: of its path and token ids, with their lengths. */
export function segmentName(state: string, path: string, tokens: Int32Array): string {
  return hashOf(Buffer.from(state, "hex"), path, tokens);
}

/** What a document is, wherever it lies: of its path and token ids. */
export function documentHash({ path, tokens }: { path: string; tokens: Int32Array }): string {
  return hashOf(Buffer.alloc(0), path, tokens);
}

/** Names of the segments that documents have where each is read whole behind those before it. */
export function documentNames(root: string, documents: readonly { path: string; tokens: Int32Array }[]): string[] {
  let state = root;
  return documents.map(({ path, tokens }) => {
    const segment = segmentName(state, path, tokens);
    state = stateAfter(state, { segment, page: 0, tokens: tokens.length });
    return segment;
  });
}

function hashOf(before: Buffer, path: string, tokens: Int32Array): string {
  const pathBytes = Buffer.from(path, "utf8");
  // Little-endian machines only, like the segments.
  const ids = Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  return createHash("sha256")
    .update(before)
    .update(integers(pathBytes.length, tokens.length))
    .update(pathBytes)
    .update(ids)
    .digest("hex");
}

function integers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [index, value] of values.entries()) bytes.writeBigInt64LE(BigInt(value), 8 * index);
  return bytes;
}

/** JSON with the keys of every object in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
