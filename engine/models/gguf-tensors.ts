// gguf-tensors.ts — the tensor table of a GGUF held against the file and the geometry: types, sizes, places, shapes, and that
// none is missing, overlaps another, or is one that the engine would silently ignore.
//
// In: the walked header, the geometry, the file's size. Out: entries with offsets from the beginning of the file. It reads no
// tensor data; native/model/ checks all of this again, and the values.
import { GGMLQuantizationType } from "@huggingface/gguf";
import type { Geometry, TensorEntry } from "../../native/index.d.ts";
import type { GgufScan, Refusals, ScannedTensor } from "./gguf-scan.ts";

/** [values, bytes] of a block of each type that the engine computes with. */
const blocks: Readonly<Record<number, readonly [number, number]>> = {
  [GGMLQuantizationType.F32]: [1, 4],
  [GGMLQuantizationType.F16]: [1, 2],
  [GGMLQuantizationType.BF16]: [1, 2],
  [GGMLQuantizationType.Q4_0]: [32, 18],
  [GGMLQuantizationType.Q4_1]: [32, 20],
  [GGMLQuantizationType.Q5_0]: [32, 22],
  [GGMLQuantizationType.Q5_1]: [32, 24],
  [GGMLQuantizationType.Q8_0]: [32, 34],
  [GGMLQuantizationType.Q4_K]: [256, 144],
  [GGMLQuantizationType.Q5_K]: [256, 176],
  [GGMLQuantizationType.Q6_K]: [256, 210],
};

/** Bytes of a tensor's data; refuses a type that is not computed with and a row that is no whole number of blocks. */
function tensorBytes(tensor: ScannedTensor, refuse: Refusals): number {
  const block = blocks[tensor.type];
  if (block === undefined) {
    const name: string | undefined = GGMLQuantizationType[tensor.type];
    throw refuse.unsupported(`tensor ${tensor.name}`, `its type ${name ?? tensor.type} is not supported`);
  }
  const [values, bytes] = block;
  const columns = tensor.shape[0] ?? 0;
  if (columns % values !== 0) {
    throw refuse.invalid(`tensor ${tensor.name}`, `a row of ${columns} is no whole number of blocks of ${values}`);
  }
  return (tensor.shape.reduce((product, size) => product * size, 1) / values) * bytes; // ≤ 2^53 elements · 4.5, exact enough to compare
}

function checkPlaces(scan: GgufScan, fileBytes: number, refuse: Refusals): void {
  const ranges: { name: string; start: number; end: number }[] = [];
  for (const tensor of scan.tensors) {
    const bytes = tensorBytes(tensor, refuse);
    if (tensor.offset % scan.alignment !== 0) {
      throw refuse.invalid(`offset of tensor ${tensor.name}`, `${tensor.offset} is no multiple of ${scan.alignment}`);
    }
    const start = scan.dataStart + tensor.offset;
    if (start + bytes > fileBytes) {
      throw refuse.invalid(
        `tensor ${tensor.name}`,
        `its data reaches beyond the end of the file, at ${fileBytes} bytes`,
      );
    }
    ranges.push({ name: tensor.name, start, end: start + bytes });
  }
  ranges.sort((a, b) => a.start - b.start || a.end - b.end);
  let before = ranges[0];
  for (const range of ranges.slice(1)) {
    if (before !== undefined && range.start < before.end) {
      throw refuse.invalid(`tensor ${range.name}`, `its data overlaps that of ${before.name}`);
    }
    before = range;
  }
}

interface Expected {
  shape: number[];
  optional: boolean;
}

/** Every tensor of the two architectures, columns first. */
function expectedTensors(g: Geometry): Map<string, Expected> {
  const expected = new Map<string, Expected>();
  const need = (name: string, ...shape: number[]): unknown => expected.set(name, { shape, optional: false });
  const queries = g.heads * g.headSize;
  const keys = g.kvHeads * g.headSize;
  need("token_embd.weight", g.embedding, g.vocabulary);
  need("output_norm.weight", g.embedding);
  expected.set("output.weight", { shape: [g.embedding, g.vocabulary], optional: true }); // else the embedding is the head
  for (let layer = 0; layer < g.layers; layer++) {
    const at = `blk.${layer}.`;
    need(`${at}attn_norm.weight`, g.embedding);
    need(`${at}attn_q.weight`, g.embedding, queries);
    need(`${at}attn_k.weight`, g.embedding, keys);
    need(`${at}attn_v.weight`, g.embedding, keys);
    need(`${at}attn_output.weight`, queries, g.embedding);
    need(`${at}ffn_norm.weight`, g.embedding);
    need(`${at}ffn_gate.weight`, g.embedding, g.feedForward);
    need(`${at}ffn_up.weight`, g.embedding, g.feedForward);
    need(`${at}ffn_down.weight`, g.feedForward, g.embedding);
    const optional = g.architecture === "llama";
    expected.set(`${at}attn_q.bias`, { shape: [queries], optional });
    expected.set(`${at}attn_k.bias`, { shape: [keys], optional });
    expected.set(`${at}attn_v.bias`, { shape: [keys], optional });
  }
  return expected;
}

function checkShapes(scan: GgufScan, geometry: Geometry, refuse: Refusals): void {
  const expected = expectedTensors(geometry);
  for (const tensor of scan.tensors) {
    const field = `tensor ${tensor.name}`;
    const wanted = expected.get(tensor.name);
    if (wanted === undefined)
      throw refuse.unsupported(field, `a ${geometry.architecture} model of this engine has no such tensor`);
    if (tensor.shape.join() !== wanted.shape.join()) {
      throw refuse.invalid(field, `its shape is ${tensor.shape.join(" × ")} instead of ${wanted.shape.join(" × ")}`);
    }
    const whole = blocks[tensor.type]?.[0] === 1;
    if (wanted.shape.length === 1 && !whole) throw refuse.unsupported(field, "a norm or bias must be F32, F16 or BF16");
    expected.delete(tensor.name);
  }
  for (const [name, { optional }] of expected) if (!optional) throw refuse.invalid(`tensor ${name}`, "it is missing");
}

/** Checks the table and returns it with absolute offsets, in the file's order. */
export function checkTensors(scan: GgufScan, geometry: Geometry, fileBytes: number, refuse: Refusals): TensorEntry[] {
  if (scan.tensors.some((tensor) => tensor.name === "rope_freqs.weight")) {
    throw refuse.unsupported(
      "tensor rope_freqs.weight",
      "a model that scales its RoPE frequencies by a table is not supported",
    );
  }
  checkPlaces(scan, fileBytes, refuse);
  checkShapes(scan, geometry, refuse);
  return scan.tensors.map(({ name, type, shape, offset }) => ({ name, type, shape, offset: scan.dataStart + offset }));
}
