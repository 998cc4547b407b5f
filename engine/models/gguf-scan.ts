// gguf-scan.ts — walks a GGUF header without believing it: every count, length and offset is checked against the file's size
// before anything of that size is made or read.
//
// In: the first bytes of a file and the file's size. Out: where each value lies and of which type, the arrays of text, and the
// tensor table. The other values are @huggingface/gguf's to read, which may be given a header only after this walk: it
// allocates by declared counts, decodes broken UTF-8 silently, and does not notice the end of a file. It is spared the arrays
// of text: it reads them once per 2 MB (550 of 800 ms for Qwen2.5), cuts a last text at that border, and drops a leading U+FEFF.
// Format: the GGUF specification, versions 2 and 3, little-endian.

import { isUtf8 } from "node:buffer";
import { setImmediate } from "node:timers/promises";
import { QuireError } from "../errors.ts";

/** GGUF's value types that the reader names. */
export const wire = { uint8: 0, uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

const maxHeaderBytes = 32e6; // three times the largest known; @huggingface/gguf reads at most 50 MB
const maxTextBytes = 400_000; // it reads 500 kB ahead; chat templates have up to 20 kB
const maxArrayLength = 1e6; // its limit, and above any known vocabulary
const maxKeyBytes = 65_535;
const maxTensorNameBytes = 64; // GGML_MAX_NAME, which must hold the closing zero
const maxDimension = 2 ** 40;
const maxAlignment = 65_536;
const smallestKeyValue = 8 + 1 + 4 + 1; // length, one letter, type, one byte
const smallestTensor = 8 + 1 + 4 + 8 + 4 + 8; // length, one letter, dimensions, one dimension, type, offset
const scalarBytes: readonly (number | undefined)[] = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8];

/** The walk needs bytes that were not given yet, up to `end`. */
export class NeedsMore extends Error {
  readonly end: number;
  constructor(end: number) {
    super("more of the header is needed");
    this.end = end;
  }
}

export interface ScannedValue {
  type: number;
  /** Type of an array's elements. */
  elementType?: number;
  /** The elements of an array of text. */
  texts?: string[];
  /** [start, end) in the header of key and value. */
  span: [number, number];
}

export interface ScannedTensor {
  name: string;
  type: number;
  /** Columns first. */
  shape: number[];
  /** Bytes from dataStart. */
  offset: number;
}

export interface GgufScan {
  keys: ReadonlyMap<string, ScannedValue>;
  tensors: ScannedTensor[];
  alignment: number;
  /** Where tensor data begins. */
  dataStart: number;
  /** Bytes of the header without padding. */
  headerEnd: number;
  /** Where the first key lies, and where the first tensor's entry. */
  keysStart: number;
  tensorsStart: number;
}

/** Makes the refusals of one file: each names field and file. */
export class Refusals {
  readonly file: string;
  constructor(file: string) {
    this.file = file;
  }
  invalid(field: string, problem: string): QuireError {
    return new QuireError("invalid-model", `${this.file}: ${field}: ${problem}.`, { where: `${this.file}: ${field}` });
  }
  unsupported(field: string, problem: string): QuireError {
    return new QuireError("unsupported-model", `${this.file}: ${field}: ${problem}.`, {
      where: `${this.file}: ${field}`,
    });
  }
}

/** A position in the header; every read is checked against the file and against what is loaded. */
class Cursor {
  position = 0;
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly fileBytes: number;
  readonly refuse: Refusals;

  constructor(bytes: Uint8Array, fileBytes: number, refuse: Refusals) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength); // a view
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.fileBytes = fileBytes;
    this.refuse = refuse;
  }

  get left(): number {
    return this.fileBytes - this.position;
  }

  /** Steps over n bytes and returns where they began. */
  take(n: number, field: string): number {
    const start = this.position;
    const end = start + n;
    if (end > this.fileBytes) throw this.refuse.invalid(field, `the file ends within it, at ${this.fileBytes} bytes`);
    if (end > maxHeaderBytes)
      throw this.refuse.unsupported(field, `the header is larger than ${maxHeaderBytes / 1e6} MB`);
    if (end > this.#bytes.byteLength) throw new NeedsMore(end);
    this.position = end;
    return start;
  }

  uint32(field: string): number {
    return this.#view.getUint32(this.take(4, field), true);
  }

  /** An unsigned 64-bit number; one beyond 2^53 is no size of anything. */
  uint64(field: string): number {
    const start = this.take(8, field);
    const high = this.#view.getUint32(start + 4, true);
    if (high >= 2 ** 21) throw this.refuse.invalid(field, "the number is out of range");
    return high * 2 ** 32 + this.#view.getUint32(start, true);
  }

  /** [start, end) of a string of valid UTF-8. */
  string(field: string, limit: number = maxTextBytes): [number, number] {
    const length = this.uint64(field);
    if (length > this.left)
      throw this.refuse.invalid(field, `a text of ${length} bytes reaches beyond the end of the file`);
    if (length > limit) throw this.refuse.invalid(field, `a text of ${length} bytes is longer than ${limit}`);
    const start = this.take(length, field);
    for (let i = start; i < this.position; i++) {
      if ((this.#bytes[i] ?? 0) < 0x80) continue;
      if (!isUtf8(this.#bytes.subarray(i, this.position)))
        throw this.refuse.invalid(field, "the text is not valid UTF-8");
      break;
    }
    return [start, this.position];
  }

  text([start, end]: [number, number]): string {
    return this.#bytes.toString("utf8", start, end);
  }

  bools(count: number, field: string): void {
    const start = this.take(count, field);
    for (let i = start; i < this.position; i++) {
      if ((this.#bytes[i] ?? 0) > 1) throw this.refuse.invalid(field, `a truth value is ${this.#bytes[i]}`);
    }
  }
}

async function scanValue(cursor: Cursor, key: string): Promise<Omit<ScannedValue, "span">> {
  const { refuse } = cursor;
  const type = cursor.uint32(key);
  if (type === wire.string) cursor.string(key);
  else if (type === wire.bool) cursor.bools(1, key);
  else if (type !== wire.array) {
    const size = scalarBytes[type];
    if (size === undefined) throw refuse.invalid(key, `there is no value type ${type}`);
    cursor.take(size, key);
  }
  if (type !== wire.array) return { type };

  const elementType = cursor.uint32(key);
  const count = cursor.uint64(key);
  if (elementType === wire.array) throw refuse.unsupported(key, "an array of arrays");
  const elementBytes = elementType === wire.string ? 8 : scalarBytes[elementType];
  if (elementBytes === undefined) throw refuse.invalid(key, `there is no value type ${elementType}`);
  if (count > Math.floor(cursor.left / elementBytes)) {
    throw refuse.invalid(key, `an array of ${count} reaches beyond the end of the file`);
  }
  if (count > maxArrayLength) throw refuse.unsupported(key, `an array of ${count} is longer than ${maxArrayLength}`);
  if (elementType === wire.string) {
    const texts: string[] = [];
    for (let index = 0; index < count; index++) {
      if (index % textsAtOnce === textsAtOnce - 1) await setImmediate();
      texts.push(cursor.text(cursor.string(key)));
    }
    return { type, elementType, texts };
  }
  if (elementType === wire.bool) cursor.bools(count, key);
  else cursor.take(count * elementBytes, key);
  return { type, elementType };
}

/** Between two looks at the event loop; some 3 ms. */
const textsAtOnce = 4_096;

function scanTensor(cursor: Cursor, index: number): ScannedTensor {
  const { refuse } = cursor;
  const range = cursor.string(`name of tensor ${index}`, maxTensorNameBytes - 1);
  const name = cursor.text(range);
  if (name === "") throw refuse.invalid(`name of tensor ${index}`, "it is empty");
  const dimensions = cursor.uint32(`tensor ${name}`);
  if (dimensions < 1 || dimensions > 4)
    throw refuse.invalid(`tensor ${name}`, `${dimensions} dimensions instead of 1 to 4`);
  const shape: number[] = [];
  let elements = 1;
  for (let d = 0; d < dimensions; d++) {
    const size = cursor.uint64(`tensor ${name}`);
    if (size < 1 || size > maxDimension) throw refuse.invalid(`tensor ${name}`, `dimension ${d} is ${size}`);
    elements *= size; // a float: it grows without wrapping, so the order of the dimensions does not matter
    shape.push(size);
  }
  if (elements > Number.MAX_SAFE_INTEGER) throw refuse.invalid(`tensor ${name}`, `${elements} elements overflow`);
  const type = cursor.uint32(`tensor ${name}`);
  const offset = cursor.uint64(`offset of tensor ${name}`);
  return { name, type, shape, offset };
}

function scanAlignment(header: Cursor, keys: Map<string, ScannedValue>, read: () => number): number {
  const found = keys.get("general.alignment");
  if (found === undefined) return 32;
  if (found.type !== wire.uint32)
    throw header.refuse.invalid("general.alignment", `value type ${found.type} instead of UINT32`);
  const alignment = read();
  if (alignment < 1 || alignment > maxAlignment || !Number.isInteger(Math.log2(alignment))) {
    throw header.refuse.invalid("general.alignment", `${alignment} is no power of two up to ${maxAlignment}`);
  }
  return alignment;
}

/**
 * Walks the header that begins `bytes`. Throws NeedsMore where `bytes` ends before the header does, and "invalid-model" or
 * "unsupported-model" naming the field for everything that is wrong with it.
 */
export async function scanGguf(bytes: Uint8Array, fileBytes: number, refuse: Refusals): Promise<GgufScan> {
  const cursor = new Cursor(bytes, fileBytes, refuse);
  const magic = cursor.take(4, "magic");
  if (cursor.text([magic, magic + 4]) !== "GGUF") throw refuse.invalid("magic", "this is no GGUF file");
  const version = cursor.uint32("version");
  if (version !== 0 && (version & 0xffff) === 0) throw refuse.unsupported("version", "the file is big-endian");
  if (version === 0) throw refuse.invalid("version", "0 is no version");
  if (version !== 2 && version !== 3) throw refuse.unsupported("version", `${version} instead of 2 or 3`);
  const tensorCount = cursor.uint64("tensor count");
  const keyCount = cursor.uint64("key count");
  if (keyCount > 100_000 || keyCount > cursor.left / smallestKeyValue) {
    throw refuse.invalid("key count", `${keyCount} keys do not fit in the file`);
  }
  if (tensorCount > 1e6 || tensorCount > cursor.left / smallestTensor) {
    throw refuse.invalid("tensor count", `${tensorCount} tensors do not fit in the file`);
  }

  const keysStart = cursor.position;
  const keys = new Map<string, ScannedValue>();
  let alignmentAt = 0;
  for (let i = 0; i < keyCount; i++) {
    const start = cursor.position;
    const key = cursor.text(cursor.string(`key ${i}`, maxKeyBytes));
    if (key === "" || key === "__proto__") throw refuse.invalid(`key ${i}`, `${JSON.stringify(key)} is no key`);
    if (keys.has(key)) throw refuse.invalid(key, "the key appears twice");
    alignmentAt = key === "general.alignment" ? cursor.position + 4 : alignmentAt;
    const value = await scanValue(cursor, key);
    keys.set(key, { ...value, span: [start, cursor.position] });
  }

  const tensorsStart = cursor.position;
  const tensors: ScannedTensor[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = scanTensor(cursor, i);
    if (names.has(tensor.name)) throw refuse.invalid(`tensor ${tensor.name}`, "the tensor appears twice");
    names.add(tensor.name);
    tensors.push(tensor);
  }
  const headerEnd = cursor.position;
  const alignment = scanAlignment(cursor, keys, () => {
    cursor.position = alignmentAt;
    return cursor.uint32("general.alignment");
  });
  const dataStart = Math.ceil(headerEnd / alignment) * alignment; // far below 2^53, so the padding cannot wrap
  return { keys, tensors, alignment, dataStart, headerEnd, keysStart, tensorsStart };
}

/** The header without its arrays of text, as a valid header of its own. */
export function withoutTexts(header: Uint8Array, scan: GgufScan): Uint8Array {
  const kept = [...scan.keys.values()].filter((value) => value.texts === undefined);
  const start = Buffer.from(header.subarray(0, scan.keysStart)); // a copy
  start.writeBigUInt64LE(BigInt(kept.length), 16);
  const spans = kept.map(({ span }) => header.subarray(...span));
  return Buffer.concat([start, ...spans, header.subarray(scan.tensorsStart, scan.headerEnd)]);
}
