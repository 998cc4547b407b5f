// identity.ts — names of saved documents: each a hash of everything that the document's keys and values depend on.
//
// In: the model and the way it reads, then documents in order. Out: hex names. A name covers the identity and all documents before
// it, because keys depend on what they attended to; so a file is only ever found where its bytes are right. Pure.

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

/** Raised when what these names are made of changes. */
export const namesVersion = 1;

/** The name before the first document, in hex. */
export function rootName(identity: MemoryIdentity): string {
  const whole = { namesVersion, ...identity, kv: "f16", layout: 1, firstPosition: 0 };
  return createHash("sha256").update(canonical(whole)).digest("hex");
}

/** Names of the documents in order: SHA-256 of the name before, the path and the token ids, with their lengths. */
export function documentNames(root: string, documents: readonly { path: string; tokens: Int32Array }[]): string[] {
  let before = Buffer.from(root, "hex");
  return documents.map(({ path, tokens }) => {
    const pathBytes = Buffer.from(path, "utf8");
    const lengths = Buffer.alloc(16);
    lengths.writeBigInt64LE(BigInt(pathBytes.length), 0);
    lengths.writeBigInt64LE(BigInt(tokens.length), 8);
    const ids = Buffer.alloc(tokens.length * 4);
    for (const [index, token] of tokens.entries()) ids.writeInt32LE(token, index * 4);
    before = createHash("sha256").update(before).update(lengths).update(pathBytes).update(ids).digest();
    return before.toString("hex");
  });
}

/** JSON with the keys of every object in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
