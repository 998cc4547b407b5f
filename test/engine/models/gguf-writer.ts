// gguf-writer.ts — writes GGUF files for tests: small models with random weights that really run, and hostile ones.
//
// In: keys with explicit value types and tensors with explicit offsets, so that anything wrong can be said. Out: bytes, and
// where each field lies, for cutting and patching. Weights are random within the range of trained ones; every block scale is
// a small finite number. Test code: nothing here is checked, that is the reader's work.
import { GGMLQuantizationType as T } from "@huggingface/gguf";

export const type = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;
export type TypeName = keyof typeof type;

export interface Key {
  key: string | Buffer;
  /** A name, or a raw number. */
  type: TypeName | number;
  value: number | bigint | boolean | string | Buffer | (number | string | Buffer)[];
  element?: TypeName | number;
  /** Declared length of an array or text, if not the true one. */
  count?: bigint;
}

export interface Tensor {
  name: string;
  type: number;
  shape: (number | bigint)[];
  data: Buffer;
  /** Offset from the start of the data, if not the next aligned one. */
  offset?: bigint;
}

export interface GgufFile {
  keys: Key[];
  tensors: Tensor[];
  magic?: string;
  version?: number;
  tensorCount?: bigint;
  keyCount?: bigint;
  alignment?: number;
}

export interface Field {
  name: string;
  start: number;
  end: number;
}

class Out {
  readonly #parts: Buffer[] = [];
  length = 0;
  push(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }
  scalar(as: TypeName | number, value: number | bigint | boolean): void {
    const kind = typeof as === "number" ? as : type[as];
    const b = Buffer.alloc([1, 1, 2, 2, 4, 4, 4, 1, 8, 8, 8, 8, 8][kind] ?? 4);
    const n = Number(value);
    const view = new DataView(b.buffer, b.byteOffset, b.length);
    if (kind === type.f32) view.setFloat32(0, n, true);
    else if (kind === type.f64) view.setFloat64(0, n, true);
    else if (b.length === 8)
      view.setBigInt64(0, BigInt.asIntN(64, typeof value === "bigint" ? value : BigInt(n)), true);
    else if (b.length === 4) view.setUint32(0, n, true);
    else if (b.length === 2) view.setUint16(0, n, true);
    else view.setUint8(0, n);
    this.push(b);
  }
  text(value: string | Buffer, count?: bigint): void {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    this.scalar("u64", count ?? BigInt(bytes.length));
    this.push(bytes);
  }
  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function writeValue(out: Out, { type: as, value, element, count }: Key): void {
  if (Array.isArray(value)) {
    out.scalar("u32", typeof element === "string" ? type[element] : (element ?? 0));
    out.scalar("u64", count ?? BigInt(value.length));
    for (const item of value) {
      if (typeof item === "number") out.scalar(element ?? "u32", item);
      else out.text(item);
    }
  } else if (typeof value === "string" || Buffer.isBuffer(value)) out.text(value, count);
  else out.scalar(as, value);
}

/** The file's bytes, and every field of the header in order. */
export function writeGguf(file: GgufFile): { bytes: Buffer; fields: Field[] } {
  const out = new Out();
  const fields: Field[] = [];
  const field = (name: string, write: () => void): void => {
    const start = out.length;
    write();
    fields.push({ name, start, end: out.length });
  };
  field("magic", () => out.push(Buffer.from(file.magic ?? "GGUF", "latin1")));
  field("version", () => out.scalar("u32", file.version ?? 3));
  field("tensor count", () => out.scalar("u64", file.tensorCount ?? BigInt(file.tensors.length)));
  field("key count", () => out.scalar("u64", file.keyCount ?? BigInt(file.keys.length)));
  for (const key of file.keys) {
    field(`key ${key.key}`, () => out.text(key.key));
    field(`type of ${key.key}`, () => out.scalar("u32", typeof key.type === "number" ? key.type : type[key.type]));
    field(`value of ${key.key}`, () => writeValue(out, key));
  }
  const alignment = file.alignment ?? 32;
  const align = (n: number): number => Math.ceil(n / alignment) * alignment;
  let next = 0;
  const placed: { at: number; data: Buffer }[] = [];
  for (const tensor of file.tensors) {
    const offset = tensor.offset ?? BigInt(next);
    if (tensor.offset === undefined) {
      placed.push({ at: next, data: tensor.data });
      next = align(next + tensor.data.length);
    }
    field(`name of ${tensor.name}`, () => out.text(tensor.name));
    field(`dimensions of ${tensor.name}`, () => out.scalar("u32", tensor.shape.length));
    field(`shape of ${tensor.name}`, () => {
      for (const size of tensor.shape) out.scalar("u64", size);
    });
    field(`type of ${tensor.name}`, () => out.scalar("u32", tensor.type));
    field(`offset of ${tensor.name}`, () => out.scalar("u64", offset));
  }
  const start = align(out.length);
  out.push(Buffer.alloc(start - out.length));
  for (const { at, data } of placed) {
    out.push(Buffer.alloc(start + at - out.length));
    out.push(data);
  }
  return { bytes: out.bytes(), fields };
}

/** A small generator (mulberry32): the same seed gives the same file. Values in [0, 1). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** f16 bits of a number that f16 holds as a normal one; rounds toward zero. */
function halfBits(value: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, value);
  const word = bits.getUint32(0);
  return ((word >>> 16) & 0x8000) | ((((word >>> 23) & 0xff) - 112) << 10) | ((word >>> 13) & 0x3ff);
}

/** [values, bytes, offsets of the f16 scales, largest code] of each block. */
const blocks: Record<number, [number, number, number[], number]> = {
  [T.Q4_0]: [32, 18, [0], 8],
  [T.Q4_1]: [32, 20, [0, 2], 15],
  [T.Q5_0]: [32, 22, [0], 16],
  [T.Q5_1]: [32, 24, [0, 2], 31],
  [T.Q8_0]: [32, 34, [0], 127],
  [T.Q4_K]: [256, 144, [0, 2], 15 * 63],
  [T.Q5_K]: [256, 176, [0, 2], 31 * 63],
  [T.Q6_K]: [256, 210, [208], 32 * 127],
};

/** Data of a tensor with values of about ±range; `around` is added for float types. */
export function randomWeights(as: number, shape: number[], range: number, random: () => number, around = 0): Buffer {
  const count = shape.reduce((product, size) => product * size, 1);
  const block = blocks[as];
  if (block === undefined) {
    const out = Buffer.alloc(count * (as === T.F32 ? 4 : 2));
    for (let i = 0; i < count; i++) {
      const value = around + (random() * 2 - 1) * range;
      if (as === T.F32) out.writeFloatLE(value, i * 4);
      else if (as === T.F16) out.writeUInt16LE(Math.abs(value) < 2 ** -14 ? 0 : halfBits(value), i * 2);
      else out.writeUInt16LE((new Uint32Array(new Float32Array([value]).buffer)[0] ?? 0) >>> 16, i * 2);
    }
    return out;
  }
  const [values, bytes, scales, codes] = block;
  const out = Buffer.alloc((count / values) * bytes);
  for (let i = 0; i < out.length; i++) out[i] = Math.floor(random() * 256);
  for (let at = 0; at < out.length; at += bytes) {
    for (const [index, scale] of scales.entries()) {
      const value = Math.max(2 ** -14, (range / codes) * (0.5 + random()));
      // The second f16 is a minimum: added in Q4_1 and Q5_1, subtracted in Q4_K and Q5_K; it brings the mean near zero.
      const minimum = as === T.Q4_1 || as === T.Q5_1 ? -range / 2 : value / 2;
      out.writeUInt16LE(halfBits(index === 0 ? value : minimum), at + scale);
    }
  }
  return out;
}

/** GPT-2's alphabet: one printable character for each byte. */
function byteAlphabet(): string[] {
  const printable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

export interface TinyOptions {
  architecture?: "llama" | "qwen2";
  layers?: number;
  heads?: number;
  kvHeads?: number;
  headSize?: number;
  embedding?: number;
  feedForward?: number;
  context?: number;
  /** Type of all matrices; norms and biases are F32. K types need rows of 256. */
  matrices?: number;
  /** Without it the embedding serves as the head. */
  outputHead?: boolean;
  seed?: number;
}

export const chatTemplate =
  "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/** A valid model: 3 control tokens, 256 bytes, 6 merges; 265 tokens in all, padded to 288 with unused ones. */
export function tinyModel(options: TinyOptions = {}): GgufFile {
  const o = {
    architecture: "llama" as const,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headSize: 16,
    embedding: 64,
    feedForward: 96,
    context: 512,
    matrices: T.F32 as number,
    outputHead: false,
    seed: 1,
    ...options,
  };
  const random = randomFrom(o.seed);
  const merges = ["t h", "th e", "Ġ the", "i n", "e r", "Ġ t"];
  const tokens = [
    ...["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    ...byteAlphabet(),
    ...merges.map((merge) => merge.replace(" ", "")),
  ];
  const used = tokens.length;
  while (tokens.length < 288) tokens.push(`<|unused${tokens.length}|>`);
  const a = o.architecture;
  const u32 = (key: string, value: number): Key => ({ key, type: "u32", value });
  const text = (key: string, value: string): Key => ({ key, type: "string", value });
  const keys: Key[] = [
    text("general.architecture", a),
    text("general.name", "Tiny"),
    u32(`${a}.block_count`, o.layers),
    u32(`${a}.context_length`, o.context),
    u32(`${a}.embedding_length`, o.embedding),
    u32(`${a}.feed_forward_length`, o.feedForward),
    u32(`${a}.attention.head_count`, o.heads),
    u32(`${a}.attention.head_count_kv`, o.kvHeads),
    u32(`${a}.attention.key_length`, o.headSize),
    u32(`${a}.attention.value_length`, o.headSize),
    { key: `${a}.rope.freq_base`, type: "f32", value: 10_000 },
    { key: `${a}.attention.layer_norm_rms_epsilon`, type: "f32", value: 1e-5 },
    text("tokenizer.ggml.model", "gpt2"),
    text("tokenizer.ggml.pre", a === "qwen2" ? "qwen2" : "smollm"),
    { key: "tokenizer.ggml.tokens", type: "array", element: "string", value: tokens },
    {
      key: "tokenizer.ggml.token_type",
      type: "array",
      element: "i32",
      value: tokens.map((_, id) => (id < 3 ? 3 : id < used ? 1 : 5)),
    },
    { key: "tokenizer.ggml.merges", type: "array", element: "string", value: merges },
    u32("tokenizer.ggml.bos_token_id", 1),
    u32("tokenizer.ggml.eos_token_id", 2),
    { key: "tokenizer.ggml.add_bos_token", type: "bool", value: false },
    text("tokenizer.chat_template", chatTemplate),
  ];
  const tensors: Tensor[] = [];
  const matrix = (name: string, columns: number, rows: number): unknown =>
    tensors.push({
      name,
      type: o.matrices,
      shape: [columns, rows],
      data: randomWeights(o.matrices, [columns, rows], 1.7 / Math.sqrt(columns), random),
    });
  const vector = (name: string, size: number, range: number, around: number): unknown =>
    tensors.push({ name, type: T.F32, shape: [size], data: randomWeights(T.F32, [size], range, random, around) });
  const queries = o.heads * o.headSize;
  const kv = o.kvHeads * o.headSize;
  matrix("token_embd.weight", o.embedding, tokens.length);
  for (let layer = 0; layer < o.layers; layer++) {
    const at = `blk.${layer}.`;
    vector(`${at}attn_norm.weight`, o.embedding, 0.2, 1);
    matrix(`${at}attn_q.weight`, o.embedding, queries);
    matrix(`${at}attn_k.weight`, o.embedding, kv);
    matrix(`${at}attn_v.weight`, o.embedding, kv);
    if (a === "qwen2") {
      vector(`${at}attn_q.bias`, queries, 0.5, 0);
      vector(`${at}attn_k.bias`, kv, 0.5, 0);
      vector(`${at}attn_v.bias`, kv, 0.5, 0);
    }
    matrix(`${at}attn_output.weight`, queries, o.embedding);
    vector(`${at}ffn_norm.weight`, o.embedding, 0.2, 1);
    matrix(`${at}ffn_gate.weight`, o.embedding, o.feedForward);
    matrix(`${at}ffn_up.weight`, o.embedding, o.feedForward);
    matrix(`${at}ffn_down.weight`, o.feedForward, o.embedding);
  }
  vector("output_norm.weight", o.embedding, 0.2, 1);
  if (o.outputHead) matrix("output.weight", o.embedding, tokens.length);
  return { keys, tensors };
}

/** The model with one key replaced or added, or removed where `key` is null. */
export function withKey(file: GgufFile, name: string, key: Omit<Key, "key"> | null): GgufFile {
  const kept = file.keys.filter((k) => k.key !== name);
  if (key === null) return { ...file, keys: kept };
  const at = file.keys.findIndex((k) => k.key === name);
  const added: Key = { key: name, ...key };
  return { ...file, keys: at < 0 ? [...kept, added] : file.keys.map((k, i) => (i === at ? added : k)) };
}

/** The model with the tensor of that name changed, or removed where `change` is null. */
export function withTensor(file: GgufFile, name: string, change: Partial<Tensor> | null): GgufFile {
  const tensors =
    change === null
      ? file.tensors.filter((t) => t.name !== name)
      : file.tensors.map((t) => (t.name === name ? { ...t, ...change } : t));
  return { ...file, tensors };
}
