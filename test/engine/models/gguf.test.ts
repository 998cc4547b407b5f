import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { utimesSync } from "node:fs";
import { mkdtemp, open, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { GGMLQuantizationType as T } from "@huggingface/gguf";
import fc from "fast-check";
import { QuireError } from "../../../engine/errors.ts";
import { findModel } from "../../../engine/models/catalog.ts";
import { type GgufModel, readGguf } from "../../../engine/models/gguf.ts";
import { Tokenizer } from "../../../engine/tokenize/tokenizer.ts";
import { findTestModel } from "./find-model.ts";
import {
  type GgufFile,
  type Key,
  type Tensor,
  type TinyOptions,
  tinyModel,
  withKey,
  withTensor,
  writeGguf,
} from "./gguf-writer.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "quire-gguf-"));
});
after(() => rm(folder, { recursive: true, force: true }));

let files = 0;
async function save(bytes: Buffer): Promise<string> {
  const file = path.join(folder, `m${files++}.gguf`);
  await writeFile(file, bytes);
  return file;
}

const read = async (file: GgufFile): Promise<GgufModel> => readGguf(await save(writeGguf(file).bytes));

/** Refused with that code, naming the file and a field that matches. */
async function refuses(bytes: Buffer, code: string, field: RegExp): Promise<void> {
  const file = await save(bytes);
  await assert.rejects(readGguf(file), (error) => {
    assert.ok(error instanceof QuireError, `not a QuireError: ${error}`);
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.startsWith(`${file}: `), error.message);
    assert.match(error.message.slice(file.length + 2), field);
    return true;
  });
  await rm(file);
}

const tiny = tinyModel();
const key = (name: string, type: Key["type"], value: Key["value"], more: Partial<Key> = {}): GgufFile =>
  withKey(tiny, name, { type, value, ...more });
const tensor = (change: Partial<Tensor> | null, name = "blk.0.attn_q.weight"): GgufFile =>
  withTensor(tiny, name, change);
const tokens = tiny.keys.find((k) => k.key === "tokenizer.ggml.tokens")?.value as string[];
const withToken = (index: number, text: string | Buffer, types?: number[]): GgufFile => {
  const changed = withKey(tiny, "tokenizer.ggml.tokens", {
    type: "array",
    element: "string",
    value: tokens.map((t, i) => (i === index ? text : t)),
  });
  return types === undefined
    ? changed
    : withKey(changed, "tokenizer.ggml.token_type", { type: "array", element: "i32", value: types });
};
const strings = (name: string, value: (string | Buffer)[]): GgufFile =>
  key(name, "array", value, { element: "string" });
const big = 2n ** 63n + 5n;

describe("readGguf on valid files", () => {
  it("returns geometry, tensors, tokenizer and template", async () => {
    const model = await read(tiny);
    assert.deepEqual(model.geometry, {
      architecture: "llama",
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headSize: 16,
      embedding: 64,
      feedForward: 96,
      vocabulary: 288,
      context: 512,
      normEpsilon: Math.fround(1e-5),
      ropeBase: 10_000,
    });
    assert.equal(model.tensors.length, 2 + 2 * 9);
    assert.deepEqual(model.tokenizer.tokens, tokens);
    assert.equal(model.tokenizer.merges.length, 6);
    assert.deepEqual(
      [model.tokenizer.bosId, model.tokenizer.eosId, model.tokenizer.eotIds, model.tokenizer.addBos],
      [1, 2, [0, 2], false],
    );
    assert.match(model.chatTemplate ?? "", /add_generation_prompt/);
    assert.equal(model.name, "Tiny");
    assert.equal(model.ropeScaling, null);
    assert.equal(model.parameters, 288 * 64 + 64 + 2 * (2 * 64 + 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 96));
  });
  it("gives offsets at which the tensors' bytes really lie", async () => {
    const { bytes } = writeGguf(tiny);
    const model = await readGguf(await save(bytes));
    for (const [index, entry] of model.tensors.entries()) {
      const { data } = tiny.tensors[index] ?? assert.fail();
      assert.ok(bytes.subarray(entry.offset, entry.offset + data.length).equals(data), entry.name);
    }
  });
  it("takes both architectures, all supported types, a head of its own, version 2 and other alignments", async () => {
    const options: TinyOptions = { embedding: 256, heads: 16, feedForward: 256, layers: 1 };
    for (const matrices of [T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K]) {
      const model = await read(tinyModel({ ...options, matrices }));
      assert.equal(model.tensors[0]?.type, matrices);
    }
    const qwen = await read(tinyModel({ architecture: "qwen2", outputHead: true }));
    assert.equal(qwen.geometry.architecture, "qwen2");
    assert.ok(qwen.tensors.some((t) => t.name === "output.weight"));
    await read({ ...tiny, version: 2 });
    await read({ ...key("general.alignment", "u32", 4096), alignment: 4096 });
  });
  it("reads a file's own YaRN", async () => {
    const yarn = ["type", "factor", "original_context_length"].map((name) => `llama.rope.scaling.${name}`) as [
      string,
      string,
      string,
    ];
    const file = withKey(key(yarn[0], "string", "yarn"), yarn[1], { type: "f32", value: 4 });
    const model = await read(withKey(file, yarn[2], { type: "u32", value: 128 }));
    assert.deepEqual(model.ropeScaling, { factor: 4, originalContext: 128 });
  });
  it("keeps texts that @huggingface/gguf misreads: a byte order mark, a last text across its 2 MB border", async () => {
    // The library drops U+FEFF at the start of a text, and cuts the last text of an array where its chunk ends.
    const long = "x".repeat(300_000);
    const filler = Array.from({ length: 7 }, (_, i) => `${i}${long}`);
    const file = strings("extra.texts", [...filler, "\uFEFFmark"]);
    const marked = withToken(287, "\uFEFFmark");
    assert.equal((await read(marked)).tokenizer.tokens[287], "\uFEFFmark");
    assert.equal((await read(file)).tokenizer.tokens.length, 288);
  });
  it("reads tensor data beyond 4 GiB without 32-bit arithmetic", async () => {
    const last = tiny.tensors.at(-1) ?? assert.fail();
    const { bytes } = writeGguf(withTensor(tiny, last.name, { offset: 5n * 2n ** 30n }));
    const file = await save(bytes);
    const handle = await open(file, "r+");
    await handle.truncate(5 * 2 ** 30 + bytes.length + last.data.length); // a hole: no disk is used
    await handle.close();
    const model = await readGguf(file);
    assert.ok((model.tensors.at(-1)?.offset ?? 0) > 5 * 2 ** 30);
    await rm(file);
  });
  it("writes tokenizers that engine/tokenize takes", async () => {
    const tokenizer = new Tokenizer((await read(tiny)).tokenizer);
    const ids = tokenizer.encode("the inner rat");
    assert.ok(ids.length > 2 && ids.length < 13);
  });
  it("opens the real SmolLM2", async function () {
    const file = findTestModel(findModel("smollm2-135m") ?? assert.fail());
    if (file === undefined) {
      console.error("      SKIPPED: no SmolLM2 file; run the fetch test or `quire models fetch smollm2-135m`");
      this.skip();
    }
    const model = await readGguf(file);
    const { geometry } = findModel("smollm2-135m") ?? assert.fail();
    for (const [name, value] of Object.entries(geometry)) assert.equal(model.geometry[name as "heads"], value, name);
    assert.equal(model.parameters, 134_515_008);
    assert.equal(model.tokenizer.merges.length, 48_900);
  });
});

/** [number in research/engines.md §5.2 and what is wrong, the file, code, field]. */
const hostile: [string, GgufFile, "invalid-model" | "unsupported-model", RegExp][] = [
  ["1 bad magic", { ...tiny, magic: "GGML" }, "invalid-model", /^magic/],
  ["1 magic in the other order", { ...tiny, magic: "FUGG" }, "invalid-model", /^magic/],
  ["2 version 0", { ...tiny, version: 0 }, "invalid-model", /^version/],
  ["2 version 1", { ...tiny, version: 1 }, "unsupported-model", /^version/],
  ["2 a future version", { ...tiny, version: 4 }, "unsupported-model", /^version/],
  ["2, 24 a byte-swapped version", { ...tiny, version: 3 << 24 }, "unsupported-model", /^version: .*big-endian/],
  ["4 more tensors than the file can hold", { ...tiny, tensorCount: 1_000_000n }, "invalid-model", /^tensor count/],
  ["4 a tensor count of 2^63", { ...tiny, tensorCount: big }, "invalid-model", /^tensor count/],
  ["4 more keys than the file can hold", { ...tiny, keyCount: 99_999n }, "invalid-model", /^key count/],
  ["4 a key count of 2^64 - 1", { ...tiny, keyCount: 2n ** 64n - 1n }, "invalid-model", /^key count/],
  ["4 one key too many", { ...tiny, keyCount: BigInt(tiny.keys.length + 1) }, "invalid-model", /./],
  ["4 one tensor too many", { ...tiny, tensorCount: BigInt(tiny.tensors.length + 1) }, "invalid-model", /./],
  ["5 an empty key", key("", "u32", 1), "invalid-model", /^key 21/],
  ["5 a key of 65 536 bytes", key("k".repeat(65_536), "u32", 1), "invalid-model", /^key 21/],
  [
    "5 a key that would set a prototype",
    key("__proto__", "array", [1], { element: "u32" }),
    "invalid-model",
    /^key 21/,
  ],
  [
    "5 a key that is not UTF-8",
    { ...tiny, keys: [...tiny.keys, { key: Buffer.from([0x61, 0xff]), type: "u32", value: 1 }] },
    "invalid-model",
    /^key 21: .*UTF-8/,
  ],
  [
    "6 a key twice",
    { ...tiny, keys: [...tiny.keys, ...tiny.keys.slice(0, 1)] },
    "invalid-model",
    /^general.architecture: .*twice/,
  ],
  ["7 an unknown value type", key("x", 13, 1), "invalid-model", /^x: /],
  ["7 a huge value type", key("x", 2 ** 32 - 1, 1), "invalid-model", /^x: /],
  ["7 an array of arrays", key("x", "array", [1], { element: "array" }), "unsupported-model", /^x: /],
  ["7 an array of an unknown type", key("x", "array", [1], { element: 77 }), "invalid-model", /^x: /],
  [
    "7 an array longer than the file",
    key("x", "array", [1], { element: "u32", count: 10_000_000n }),
    "invalid-model",
    /^x: .*beyond/,
  ],
  [
    "7 an array whose bytes overflow 64 bits",
    key("x", "array", [1], { element: "u64", count: 2n ** 61n }),
    "invalid-model",
    /^x: /,
  ],
  ["7 an array of 2^64 - 1", key("x", "array", [1], { element: "u8", count: 2n ** 64n - 1n }), "invalid-model", /^x: /],
  ["7 a text longer than the file", key("x", "string", "abc", { count: 2n ** 40n }), "invalid-model", /^x: .*beyond/],
  ["7 a text of 2^64 - 1 bytes", key("x", "string", "abc", { count: 2n ** 64n - 1n }), "invalid-model", /^x: /],
  ["7 a text of a megabyte", key("x", "string", "a".repeat(1_000_000)), "invalid-model", /^x: .*longer/],
  [
    "8 a truth value of 2",
    key("tokenizer.ggml.add_bos_token", "bool", 2),
    "invalid-model",
    /^tokenizer.ggml.add_bos_token/,
  ],
  ["8 a truth value of 255 in an array", key("x", "array", [0, 255], { element: "bool" }), "invalid-model", /^x: /],
  ["9 alignment as INT32", key("general.alignment", "i32", 32), "invalid-model", /^general.alignment/],
  ["9 alignment as text", key("general.alignment", "string", "32"), "invalid-model", /^general.alignment/],
  [
    "9 scores as UINT8",
    key(
      "tokenizer.ggml.scores",
      "array",
      tokens.map(() => 1),
      { element: "u8" },
    ),
    "invalid-model",
    /^tokenizer.ggml.scores/,
  ],
  [
    "9 token types as UINT8",
    key(
      "tokenizer.ggml.token_type",
      "array",
      tokens.map(() => 1),
      { element: "u8" },
    ),
    "invalid-model",
    /^tokenizer.ggml.token_type/,
  ],
  ["9 a count as text", key("llama.block_count", "string", "2"), "invalid-model", /^llama.block_count/],
  ["9 a count as float", key("llama.block_count", "f32", 2), "invalid-model", /^llama.block_count/],
  [
    "9 tokens as numbers",
    key("tokenizer.ggml.tokens", "array", [1, 2], { element: "u32" }),
    "invalid-model",
    /^tokenizer.ggml.tokens/,
  ],
  ["9 tokens as one text", key("tokenizer.ggml.tokens", "string", "a"), "invalid-model", /^tokenizer.ggml.tokens/],
  ["9 the architecture as a number", key("general.architecture", "u32", 1), "invalid-model", /^general.architecture/],
  [
    "9 KV heads per layer",
    key("llama.attention.head_count_kv", "array", [2, 2], { element: "u32" }),
    "invalid-model",
    /head_count_kv/,
  ],
  ["10 alignment 0", key("general.alignment", "u32", 0), "invalid-model", /^general.alignment/],
  ["10 alignment 24", key("general.alignment", "u32", 24), "invalid-model", /^general.alignment/],
  ["10 alignment 128 KiB", key("general.alignment", "u32", 131_072), "invalid-model", /^general.alignment/],
  [
    "10, 17 alignment 2^31, whose padding wraps",
    key("general.alignment", "u32", 2 ** 31),
    "invalid-model",
    /^general.alignment/,
  ],
  ["11 an unnamed tensor", tensor({ name: "" }), "invalid-model", /^name of tensor/],
  ["11 a tensor name of 64 bytes", tensor({ name: "n".repeat(64) }), "invalid-model", /^name of tensor/],
  [
    "11 a tensor twice",
    { ...tiny, tensors: [...tiny.tensors, ...tiny.tensors.slice(0, 1)] },
    "invalid-model",
    /^tensor token_embd.weight: .*twice/,
  ],
  ["12 no dimensions", tensor({ shape: [] }), "invalid-model", /attn_q.weight: 0 dimensions/],
  ["12 five dimensions", tensor({ shape: [64, 64, 1, 1, 1] }), "invalid-model", /attn_q.weight: 5 dimensions/],
  ["13 a dimension of 0", tensor({ shape: [64, 0] }), "invalid-model", /attn_q.weight: dimension 1/],
  ["13 a negative dimension", tensor({ shape: [64, -1] }), "invalid-model", /attn_q.weight/],
  ["13 a dimension above 2^40", tensor({ shape: [2 ** 41, 1] }), "invalid-model", /attn_q.weight: dimension 0/],
  ["13 a product that overflows", tensor({ shape: [2 ** 32, 2 ** 32] }), "invalid-model", /attn_q.weight: .*overflow/],
  [
    "13 a product that overflows, and comes back with a last 1",
    tensor({ shape: [2 ** 40, 2 ** 40, 2 ** 40, 1] }),
    "invalid-model",
    /overflow/,
  ],
  [
    "14 a row that is no whole number of blocks",
    tensor({ type: T.Q4_K }),
    "invalid-model",
    /attn_q.weight: a row of 64/,
  ],
  ["15 a type that is not supported", tensor({ type: T.Q2_K }), "unsupported-model", /attn_q.weight: its type Q2_K/],
  ["15 a type that does not exist", tensor({ type: 4 }), "unsupported-model", /attn_q.weight: its type 4/],
  ["15 a type of 2^32 - 1", tensor({ type: 2 ** 32 - 1 }), "unsupported-model", /attn_q.weight/],
  [
    "16 an offset that is not aligned",
    tensor({ offset: 33n }),
    "invalid-model",
    /^offset of tensor blk.0.attn_q.weight/,
  ],
  ["16 data beyond the end", tensor({ offset: 2n ** 30n }), "invalid-model", /attn_q.weight: .*beyond the end/],
  ["16 an offset whose sum wraps", tensor({ offset: 2n ** 64n - 32n }), "invalid-model", /attn_q.weight/],
  ["16 overlap", tensor({ offset: 0n }), "invalid-model", /overlaps/],
  [
    "16 two tensors in the same place",
    withTensor(tensor({ offset: 32n }, "output_norm.weight"), "blk.0.attn_norm.weight", { offset: 32n }),
    "invalid-model",
    /overlaps/,
  ],
  ["18 no embedding", tensor(null, "token_embd.weight"), "invalid-model", /token_embd.weight: it is missing/],
  [
    "18 a layer's tensor missing",
    tensor(null, "blk.1.ffn_up.weight"),
    "invalid-model",
    /blk.1.ffn_up.weight: it is missing/,
  ],
  [
    "18 a bias missing in qwen2",
    withTensor(tinyModel({ architecture: "qwen2" }), "blk.0.attn_k.bias", null),
    "invalid-model",
    /attn_k.bias: it is missing/,
  ],
  ["18 no tensors at all", { ...tiny, tensors: [] }, "invalid-model", /missing/],
  [
    "18 a shape that does not fit",
    tensor({ shape: [32, 128] }),
    "invalid-model",
    /attn_q.weight: its shape is 32 × 128 instead of 64 × 64/,
  ],
  ["18 the same elements in one dimension", tensor({ shape: [4096] }), "invalid-model", /attn_q.weight: its shape/],
  [
    "18 a tensor that would be ignored",
    {
      ...tiny,
      tensors: [
        ...tiny.tensors,
        { name: "blk.0.attn_q_norm.weight", type: T.F32, shape: [16], data: Buffer.alloc(64) },
      ],
    },
    "unsupported-model",
    /attn_q_norm/,
  ],
  [
    "18 RoPE frequencies by a table",
    {
      ...tiny,
      tensors: [...tiny.tensors, { name: "rope_freqs.weight", type: T.F32, shape: [8], data: Buffer.alloc(32) }],
    },
    "unsupported-model",
    /rope_freqs/,
  ],
  [
    "18 a quantised norm",
    tensor({ type: T.Q8_0, data: Buffer.alloc(68) }, "output_norm.weight"),
    "unsupported-model",
    /output_norm/,
  ],
  ["19 no layers", key("llama.block_count", "u32", 0), "invalid-model", /^llama.block_count/],
  ["19 513 layers", key("llama.block_count", "u32", 513), "invalid-model", /^llama.block_count/],
  ["19 2^32 - 1 layers", key("llama.block_count", "u32", 2 ** 32 - 1), "invalid-model", /^llama.block_count/],
  ["19 no heads", key("llama.attention.head_count", "u32", 0), "invalid-model", /^llama.attention.head_count/],
  ["19 no KV heads", key("llama.attention.head_count_kv", "u32", 0), "invalid-model", /head_count_kv/],
  ["19 more KV heads than heads", key("llama.attention.head_count_kv", "u32", 8), "invalid-model", /head_count_kv/],
  ["19 heads that are no multiple", key("llama.attention.head_count_kv", "u32", 3), "invalid-model", /head_count_kv/],
  ["19 an odd head size", key("llama.attention.key_length", "u32", 15), "invalid-model", /key_length/],
  ["19 a head size of 272", key("llama.attention.key_length", "u32", 272), "invalid-model", /key_length/],
  [
    "19 values of another size than keys",
    key("llama.attention.value_length", "u32", 32),
    "unsupported-model",
    /value_length/,
  ],
  ["19 partial rotation", key("llama.rope.dimension_count", "u32", 8), "unsupported-model", /dimension_count/],
  ["19 context 0", key("llama.context_length", "u32", 0), "invalid-model", /context_length/],
  ["19 a context of 2^32 - 1", key("llama.context_length", "u32", 2 ** 32 - 1), "invalid-model", /context_length/],
  ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY].map((base): [string, GgufFile, "invalid-model", RegExp] => [
    `19 a RoPE base of ${base}`,
    key("llama.rope.freq_base", "f32", base),
    "invalid-model",
    /freq_base/,
  ]),
  ...[0, -1e-5, Number.NaN, Number.POSITIVE_INFINITY].map((eps): [string, GgufFile, "invalid-model", RegExp] => [
    `19 an epsilon of ${eps}`,
    key("llama.attention.layer_norm_rms_epsilon", "f32", eps),
    "invalid-model",
    /epsilon/,
  ]),
  ["19 an embedding of 0", key("llama.embedding_length", "u32", 0), "invalid-model", /embedding_length/],
  ["19 a feed-forward size of 33", key("llama.feed_forward_length", "u32", 33), "invalid-model", /feed_forward_length/],
  [
    "19 no epsilon",
    withKey(tiny, "llama.attention.layer_norm_rms_epsilon", null),
    "invalid-model",
    /epsilon: it is missing/,
  ],
  [
    "19 no architecture",
    withKey(tiny, "general.architecture", null),
    "invalid-model",
    /^general.architecture: it is missing/,
  ],
  [
    "19 another architecture",
    key("general.architecture", "string", "mamba"),
    "unsupported-model",
    /^general.architecture: "mamba"/,
  ],
  ["19 experts", key("llama.expert_count", "u32", 8), "unsupported-model", /expert_count/],
  ["19 a sliding window", key("llama.attention.sliding_window", "u32", 4096), "unsupported-model", /sliding_window/],
  ["19 linear RoPE scaling", key("llama.rope.scaling.type", "string", "linear"), "unsupported-model", /scaling.type/],
  ["19 YaRN without a factor", key("llama.rope.scaling.type", "string", "yarn"), "invalid-model", /scaling.factor/],
  [
    "20 a vocabulary of another size than the tokens",
    key("llama.vocab_size", "u32", 289),
    "invalid-model",
    /vocab_size/,
  ],
  [
    "20 fewer tokens than embedding rows",
    withKey(strings("tokenizer.ggml.tokens", tokens.slice(0, 287)), "tokenizer.ggml.token_type", {
      type: "array",
      element: "i32",
      value: tokens.slice(0, 287).map(() => 1),
    }),
    "invalid-model",
    /token_embd.weight: its shape/,
  ],
  [
    "20 fewer types than tokens",
    key("tokenizer.ggml.token_type", "array", [1], { element: "i32" }),
    "invalid-model",
    /token_type/,
  ],
  [
    "20 a token type of 7",
    key(
      "tokenizer.ggml.token_type",
      "array",
      tokens.map(() => 7),
      { element: "i32" },
    ),
    "invalid-model",
    /token_type: element 0/,
  ],
  [
    "20 fewer scores than tokens",
    key("tokenizer.ggml.scores", "array", [1], { element: "f32" }),
    "invalid-model",
    /scores/,
  ],
  ["20 no tokens", strings("tokenizer.ggml.tokens", []), "invalid-model", /tokenizer.ggml.tokens/],
  ["20 no merges key", withKey(tiny, "tokenizer.ggml.merges", null), "invalid-model", /merges: it is missing/],
  [
    "20 no tokenizer",
    withKey(tiny, "tokenizer.ggml.model", null),
    "invalid-model",
    /tokenizer.ggml.model: it is missing/,
  ],
  [
    "20 another kind of tokenizer",
    key("tokenizer.ggml.model", "string", "llama"),
    "unsupported-model",
    /tokenizer.ggml.model/,
  ],
  ["21 a merge of an unknown token", strings("tokenizer.ggml.merges", ["t zz"]), "invalid-model", /merges: merge 0/],
  [
    "21 a merge into an unknown token",
    strings("tokenizer.ggml.merges", ["t h", "q q"]),
    "invalid-model",
    /merges: merge 1/,
  ],
  ["21 a merge without a space", strings("tokenizer.ggml.merges", ["th"]), "invalid-model", /merges/],
  ["21 a merge with two spaces", strings("tokenizer.ggml.merges", ["t  h"]), "invalid-model", /merges/],
  ["21 a merge of one side", strings("tokenizer.ggml.merges", [" h"]), "invalid-model", /merges/],
  [
    "21 a token that is not UTF-8",
    withToken(280, Buffer.from([0xc3, 0x28])),
    "invalid-model",
    /tokenizer.ggml.tokens: .*UTF-8/,
  ],
  [
    "21 a token with half a surrogate pair",
    withToken(280, Buffer.from([0xed, 0xa0, 0x80])),
    "invalid-model",
    /tokenizer.ggml.tokens: .*UTF-8/,
  ],
  ["21 an empty token", withToken(280, ""), "invalid-model", /tokenizer.ggml.tokens: token 280/],
  ...["<0x-1>", "<0xGG>", "<0x100>", "0x41"].map((text): [string, GgufFile, "invalid-model", RegExp] => [
    `21 a byte token ${text}`,
    withToken(
      280,
      text,
      tokens.map((_, i) => (i === 280 ? 6 : 1)),
    ),
    "invalid-model",
    /byte token 280/,
  ]),
  ...["bos", "eos", "eot", "padding"].map((name): [string, GgufFile, "invalid-model", RegExp] => [
    `22 an ${name} id beyond the vocabulary`,
    key(`tokenizer.ggml.${name}_token_id`, "u32", 288),
    "invalid-model",
    new RegExp(`${name}_token_id`),
  ]),
  ["22 a bos id of -1", key("tokenizer.ggml.bos_token_id", "u32", 2 ** 32 - 1), "invalid-model", /bos_token_id/],
  ["24 a split file", key("split.count", "u16", 3), "unsupported-model", /split.count/],
  [
    "another version of the quantisations",
    key("general.quantization_version", "u32", 1),
    "unsupported-model",
    /quantization_version/,
  ],
];

describe("readGguf on hostile files (research/engines.md §5.2)", () => {
  for (const [what, file, code, field] of hostile) {
    it(what, () => refuses(writeGguf(file).bytes, code, field));
  }

  it("3 empty, and cut off within or at the end of any field", async function () {
    this.timeout(20_000);
    const { bytes, fields } = writeGguf(tinyModel({ layers: 1 }));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...fields), fc.double({ min: 0, max: 1, noNaN: true }), async (field, at) => {
        const cut = Math.floor(field.start + at * (field.end - field.start));
        await refuses(bytes.subarray(0, cut), "invalid-model", /./);
      }),
      { numRuns: 200 },
    );
    for (const field of fields) await refuses(bytes.subarray(0, field.end), "invalid-model", /./);
    await refuses(Buffer.alloc(0), "invalid-model", /^magic/);
    await refuses(bytes.subarray(0, bytes.length - 1), "invalid-model", /beyond the end/);
  });

  it("survives any byte changed: a refusal by name or a model, nothing else", async function () {
    this.timeout(30_000);
    const { bytes, fields } = writeGguf(tinyModel({ layers: 1 }));
    const headerEnd = fields.at(-1)?.end ?? 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(headerEnd - 1), fc.integer({ min: 0, max: 255 }), async (at, value) => {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        const file = await save(changed);
        try {
          await readGguf(file);
        } catch (error) {
          assert.ok(
            error instanceof QuireError && ["invalid-model", "unsupported-model"].includes(error.code),
            String(error),
          );
        } finally {
          await rm(file);
        }
      }),
      { numRuns: 600 },
    );
  });

  it("refuses huge declared counts at once and without allocating them", async () => {
    const before = process.memoryUsage().rss;
    const started = performance.now();
    for (const element of ["u8", "u32", "string", "f64"] as const) {
      const bytes = writeGguf(key("x", "array", [], { element, count: 2n ** 52n })).bytes;
      await refuses(Buffer.concat([bytes, Buffer.alloc(1 << 20)]), "invalid-model", /^x: /);
    }
    assert.ok(performance.now() - started < 2_000);
    assert.ok(process.memoryUsage().rss - before < 200e6);
  });

  it("24 refuses a folder, a FIFO and a link to a device without opening them, and follows a link to a file", async function () {
    if (process.platform === "win32") this.skip();
    const named = (error: unknown): boolean =>
      error instanceof QuireError && error.code === "invalid-model" && /not a regular file/.test(error.message);
    await assert.rejects(readGguf(folder), named);
    const fifo = path.join(folder, "fifo.gguf");
    execFileSync("mkfifo", [fifo]);
    await assert.rejects(readGguf(fifo), named);
    const device = path.join(folder, "device.gguf");
    await symlink("/dev/zero", device);
    await assert.rejects(readGguf(device), named);
    const link = path.join(folder, "link.gguf");
    await symlink(await save(writeGguf(tiny).bytes), link);
    assert.equal((await readGguf(link)).name, "Tiny");
    await symlink("loop.gguf", path.join(folder, "loop.gguf"));
    await assert.rejects(readGguf(path.join(folder, "loop.gguf")), { code: "model-missing" });
  });

  it("24 refuses a file that changes while it is read", async () => {
    const file = await save(writeGguf(tiny).bytes);
    let reading = true;
    let touches = 0;
    const touch = (): void => {
      utimesSync(file, touches, touches++);
      if (reading) setImmediate(touch); // once in each turn of the event loop, so at least once between its first and last look
    };
    touch();
    try {
      await assert.rejects(readGguf(file), { code: "invalid-model", message: /changed while it was read/ });
    } finally {
      reading = false;
    }
  });

  it("says model-missing where there is no file", async () => {
    await assert.rejects(readGguf(path.join(folder, "none.gguf")), { code: "model-missing" });
  });
});
