// catalog.ts — the models that Quire knows by name, from catalog.json, and what each needs in memory.
//
// In: catalog.json, checked. Out: entries in the order of preference. It fetches nothing and looks at no disk.
// A part of a "wheels" source is a slice of the published file: parts in order, put end to end, are the file.
import { z } from "zod";
import { QuireError } from "../errors.ts";
import json from "./catalog.json" with { type: "json" };

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().positive();

const httpsSource = z.strictObject({ kind: z.literal("https"), url: z.url({ protocol: /^https$/ }) });

/** `{n}` is the part's number from 1, `{nn}` the same with two digits. */
const wheelsSource = z.strictObject({
  kind: z.literal("wheels"),
  package: z.string().regex(/^[a-z0-9-]+(\{n\})?$/),
  version: z.string().regex(/^[0-9.]+$/),
  member: z.string().regex(/^[A-Za-z0-9_{}./-]+$/),
  parts: z.array(z.strictObject({ bytes: count, sha256 })).nonempty(),
});

const entrySchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9.-]+$/),
    title: z.string(),
    licence: z.string(),
    purpose: z.string(),
    testOnly: z.boolean(),
    file: z.string().regex(/^[A-Za-z0-9._-]+\.gguf$/),
    bytes: count,
    sha256,
    context: count,
    geometry: z.strictObject({
      layers: count,
      heads: count,
      kvHeads: count,
      headSize: count,
      embedding: count,
      feedForward: count,
      vocabulary: count,
    }),
    sources: z.array(z.discriminatedUnion("kind", [httpsSource, wheelsSource])).nonempty(),
  })
  .refine(
    (entry) =>
      entry.sources.every(
        (s) => s.kind !== "wheels" || s.parts.reduce((sum, part) => sum + part.bytes, 0) === entry.bytes,
      ),
    "the parts of a wheels source must add up to the file",
  );

export type ModelEntry = z.infer<typeof entrySchema>;
export type ModelSource = ModelEntry["sources"][number];
export type HttpsSource = Extract<ModelSource, { kind: "https" }>;
export type WheelsSource = Extract<ModelSource, { kind: "wheels" }>;

/** Checks what catalog.json or a test says; throws "internal" naming the field. */
export function parseCatalog(value: unknown): ModelEntry[] {
  const parsed = z
    .strictObject({ models: z.array(entrySchema).nonempty() })
    .refine(({ models }) => new Set(models.map((m) => m.name)).size === models.length, "names must differ")
    .safeParse(value);
  if (!parsed.success)
    throw new QuireError("internal", `catalog.json: ${z.prettifyError(parsed.error)}`, { where: "catalog.json" });
  return parsed.data.models;
}

/** All models by preference: the better one first, those for tests last. */
export const catalog: readonly ModelEntry[] = parseCatalog(json);

/** The entry of that name (case is ignored), or undefined. */
export function findModel(name: string): ModelEntry | undefined {
  return catalog.find((entry) => entry.name === name.toLowerCase());
}

/** Bytes of keys, values (f16) and page summaries (f16, two per channel of 16 tokens) of one token. */
export function memoryBytesPerToken(entry: Pick<ModelEntry, "geometry">): number {
  const { layers, kvHeads, headSize } = entry.geometry;
  return layers * kvHeads * (headSize * 2 * 2 + (headSize * 2 * 2) / 16);
}

/** What the engine may use at most besides weights and memory: buffers, tokenizer, Node. Checked by the bench. */
export const overheadBytes = 500e6;

/** Bytes needed to hold the model and a memory of that many tokens: weights + KV + 500 MB, an upper bound. */
export function memoryNeed(entry: Pick<ModelEntry, "bytes" | "geometry">, tokens: number): number {
  return entry.bytes + memoryBytesPerToken(entry) * tokens + overheadBytes;
}
