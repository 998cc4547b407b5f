// gguf-geometry.ts — the numbers of a model's shape, from GGUF metadata, each within the range that the engine computes with.
//
// In: typed metadata, the vocabulary's size. Out: Geometry and the file's own RoPE scaling. What the engine would silently
// compute wrongly (experts, sliding windows, partial rotation, other scalings) is refused here.
import { z } from "zod";
import type { Geometry, RopeScaling } from "../../native/index.d.ts";
import type { Metadata } from "./gguf-metadata.ts";

const range = (low: number, high: number): z.ZodType<number> =>
  z.number().refine((n) => n >= low && n <= high, { error: ({ input }) => `${input} is outside ${low} to ${high}` });

function readArchitecture(metadata: Metadata): Geometry["architecture"] {
  const found = metadata.required("general.architecture", "string", z.string());
  if (found === "llama" || found === "qwen2") return found;
  throw metadata.refuse.unsupported(
    "general.architecture",
    `${JSON.stringify(found.slice(0, 40))} instead of llama or qwen2`,
  );
}

/** Keys whose presence with another value than the neutral one means arithmetic that the engine does not do. */
function refuseOtherArithmetic(metadata: Metadata, arch: string): void {
  const neutral: [string, "uint32" | "float32" | "bool", number | boolean][] = [
    [`${arch}.expert_count`, "uint32", 0],
    [`${arch}.attention.sliding_window`, "uint32", 0],
    [`${arch}.attention.causal`, "bool", true],
    [`${arch}.rope.scale_linear`, "float32", 1],
    [`${arch}.attention.clamp_kqv`, "float32", 0],
    [`${arch}.attention.max_alibi_bias`, "float32", 0],
    [`${arch}.logit_scale`, "float32", 1],
    [`${arch}.use_parallel_residual`, "bool", false],
    ["general.quantization_version", "uint32", 2],
    ["split.count", "uint32", 1],
  ];
  for (const [key, type, expected] of neutral) {
    // split.count is UINT16 in files that llama.cpp wrote; presence alone says that tensors lie in other files.
    if (key === "split.count" && metadata.has(key))
      throw metadata.refuse.unsupported(key, "the model is split over several files");
    const found = metadata.optional(key, type, z.union([z.number(), z.boolean()]));
    if (found !== undefined && found !== expected) {
      throw metadata.refuse.unsupported(key, `${found} is not supported, only ${expected}`);
    }
  }
}

function readHeadSize(metadata: Metadata, arch: string, embedding: number, heads: number): number {
  const { refuse } = metadata;
  const key = `${arch}.attention.key_length`;
  const declared = metadata.optional(key, "uint32", range(1, 256));
  if (declared === undefined && embedding % heads !== 0) {
    throw refuse.invalid(`${arch}.attention.head_count`, `${embedding} channels do not divide into ${heads} heads`);
  }
  const headSize = declared ?? embedding / heads;
  if (headSize < 16 || headSize > 256 || headSize % 16 !== 0) {
    throw refuse.invalid(key, `a head size of ${headSize} is no multiple of 16 from 16 to 256`);
  }
  for (const other of [`${arch}.attention.value_length`, `${arch}.rope.dimension_count`]) {
    const found = metadata.optional(other, "uint32", z.int());
    if (found !== undefined && found !== headSize)
      throw refuse.unsupported(other, `${found} differs from the head size ${headSize}`);
  }
  return headSize;
}

/** Checks and returns the geometry. `vocabulary` is the number of tokens of the tokenizer. */
export function readGeometry(metadata: Metadata, vocabulary: number): Geometry {
  const { refuse } = metadata;
  const architecture = readArchitecture(metadata);
  const count = (name: string, low: number, high: number): number =>
    metadata.required(`${architecture}.${name}`, "uint32", range(low, high));
  refuseOtherArithmetic(metadata, architecture);
  const layers = count("block_count", 1, 512);
  const heads = count("attention.head_count", 1, 1024);
  const kvKey = `${architecture}.attention.head_count_kv`;
  const kvHeads = metadata.optional(kvKey, "uint32", range(1, heads)) ?? heads;
  if (heads % kvHeads !== 0) throw refuse.invalid(kvKey, `${heads} heads are no multiple of ${kvHeads} KV heads`);
  const embedding = count("embedding_length", 32, 1 << 20);
  const feedForward = count("feed_forward_length", 32, 1 << 22);
  const headSize = readHeadSize(metadata, architecture, embedding, heads);
  for (const [name, size] of [
    ["embedding_length", embedding],
    ["feed_forward_length", feedForward],
    ["attention.head_count", heads * headSize],
  ] as const) {
    if (size % 32 !== 0) throw refuse.invalid(`${architecture}.${name}`, `${size} channels are no multiple of 32`);
  }
  const vocabKey = `${architecture}.vocab_size`;
  const declared = metadata.optional(vocabKey, "uint32", z.int());
  if (declared !== undefined && declared !== vocabulary) {
    throw refuse.invalid(vocabKey, `${declared} instead of the tokenizer's ${vocabulary} tokens`);
  }
  const epsilon = `${architecture}.attention.layer_norm_rms_epsilon`;
  return {
    architecture,
    layers,
    heads,
    kvHeads,
    headSize,
    embedding,
    feedForward,
    vocabulary,
    context: count("context_length", 1, 2 ** 27),
    normEpsilon: metadata.required(epsilon, "float32", range(1e-20, 1)),
    ropeBase: metadata.optional(`${architecture}.rope.freq_base`, "float32", range(1, 1e12)) ?? 10_000,
  };
}

/** The RoPE scaling that the file itself asks for, or null. */
export function readRopeScaling(metadata: Metadata, geometry: Geometry): RopeScaling | null {
  const prefix = `${geometry.architecture}.rope.scaling.`;
  const type = metadata.optional(`${prefix}type`, "string", z.string());
  if (type === undefined || type === "none") return null;
  if (type !== "yarn")
    throw metadata.refuse.unsupported(`${prefix}type`, `${JSON.stringify(type.slice(0, 40))} instead of "yarn"`);
  const known = ["type", "factor", "original_context_length", "finetuned"].map((name) => prefix + name);
  for (const key of metadata.keysBelow(prefix)) {
    if (!known.includes(key)) throw metadata.refuse.unsupported(key, "this detail of YaRN is not supported");
  }
  return {
    factor: metadata.required(`${prefix}factor`, "float32", range(1, 1024)),
    originalContext: metadata.required(`${prefix}original_context_length`, "uint32", range(1, 2 ** 27)),
  };
}
