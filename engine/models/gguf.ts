// gguf.ts — opens a GGUF file: what the engine must know of a model before its weights are read.
//
// In: a path. Out: geometry, tensor table with absolute offsets, tokenizer, chat template. The header is read once into
// memory, walked by gguf-scan.ts, and only then handed, less its arrays of text, to @huggingface/gguf through its fetch option,
// so that both see the same bytes. A file may be hostile: it is refused by field and name, before anything of a declared size is allocated.
// It reads no tensor data.
import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { gguf } from "@huggingface/gguf";
import { z } from "zod";
import type { Geometry, RopeScaling, TensorEntry } from "../../native/index.d.ts";
import { QuireError } from "../errors.ts";
import { readGeometry, readRopeScaling } from "./gguf-geometry.ts";
import { Metadata } from "./gguf-metadata.ts";
import { type GgufScan, NeedsMore, Refusals, scanGguf, withoutTexts } from "./gguf-scan.ts";
import { checkTensors } from "./gguf-tensors.ts";
import { type GgufTokenizer, readTokenizer } from "./gguf-tokenizer.ts";

export interface GgufModel {
  path: string;
  fileBytes: number;
  /** The file's own name for the model, else the file's name. */
  name: string;
  geometry: Geometry;
  tensors: TensorEntry[];
  tokenizer: GgufTokenizer;
  /** Jinja source, or null. */
  chatTemplate: string | null;
  /** Number of weights. */
  parameters: number;
  /** What the file itself asks for; null: none. */
  ropeScaling: RopeScaling | null;
}

const firstBytes = 8 << 20; // more than any small model's header

async function openRegular(file: string): Promise<FileHandle> {
  try {
    // Looked at before it is opened: opening a FIFO would wait for a writer, opening a device may do things.
    if (!(await stat(file)).isFile()) throw new Refusals(file).invalid("file", "it is not a regular file");
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    throw new Refusals(file).invalid("file", "it is not a regular file");
  } catch (cause) {
    if (cause instanceof QuireError) throw cause;
    throw new QuireError("model-missing", `The model file ${file} cannot be opened: ${(cause as Error).message}.`, {
      where: file,
      cause,
    });
  }
}

async function readStart(handle: FileHandle, length: number, refuse: Refusals): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, done);
    if (bytesRead === 0) throw refuse.invalid("file", "it changed while it was read");
    done += bytesRead;
  }
  return bytes;
}

async function loadHeader(handle: FileHandle, fileBytes: number, refuse: Refusals): Promise<[GgufScan, Uint8Array]> {
  for (let wanted = firstBytes; ; ) {
    const bytes = await readStart(handle, Math.min(wanted, fileBytes), refuse);
    try {
      const scan = await scanGguf(bytes, fileBytes, refuse);
      return [scan, bytes.subarray(0, scan.headerEnd)];
    } catch (error) {
      if (!(error instanceof NeedsMore)) throw error;
      wanted = Math.max(error.end, wanted * 2);
    }
  }
}

/** The library's values; it asks for the header in ranges, as of a server. */
async function readValues(header: Uint8Array, refuse: Refusals): Promise<Record<string, unknown>> {
  const asked = z.object({ headers: z.object({ Range: z.string() }) });
  const serve = async (_url: unknown, init: unknown) => {
    const { Range } = asked.parse(init).headers;
    const [first, last] = (/^bytes=(\d+)-(\d+)$/.exec(Range) ?? []).slice(1);
    const bytes = new Uint8Array(header.subarray(Number(first), Number(last) + 1));
    return { headers: new Map<string, string>(), arrayBuffer: async () => bytes.buffer };
  };
  try {
    const { metadata } = await gguf("http://header.invalid/", {
      // All that the library looks at. The first Response or Headers of a process loads Node's fetch: 30 ms in one piece.
      fetch: serve as unknown as typeof fetch,
    });
    return z.record(z.string(), z.unknown()).parse(metadata);
  } catch (cause) {
    throw refuse.invalid("header", `it cannot be read: ${(cause as Error).message}`);
  }
}

/**
 * Reads and checks the header of a GGUF file. Throws "model-missing" where there is no such file, "invalid-model" where the
 * file contradicts itself, "unsupported-model" where the engine would compute something else than the model means; message
 * and `where` name file and field.
 */
export async function readGguf(file: string): Promise<GgufModel> {
  const refuse = new Refusals(file);
  const handle = await openRegular(file);
  try {
    const before = await handle.stat({ bigint: true });
    const fileBytes = Number(before.size);
    const [scan, header] = await loadHeader(handle, fileBytes, refuse);
    await setImmediate();
    const values = await readValues(withoutTexts(header, scan), refuse);
    await setImmediate();
    const metadata = new Metadata(scan, values, refuse);
    const tokenizer = await readTokenizer(metadata);
    const geometry = readGeometry(metadata, tokenizer.tokens.length);
    const ropeScaling = readRopeScaling(metadata, geometry);
    const tensors = checkTensors(scan, geometry, fileBytes, refuse);
    const after = await handle.stat({ bigint: true });
    if (after.size !== before.size || after.mtimeNs !== before.mtimeNs) {
      throw refuse.invalid("file", "it changed while it was read");
    }
    return {
      path: file,
      fileBytes,
      name: metadata.optional("general.name", "string", z.string().max(1000)) ?? path.basename(file),
      geometry,
      tensors,
      tokenizer,
      chatTemplate: metadata.optional("tokenizer.chat_template", "string", z.string().max(1_000_000)) ?? null,
      parameters: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
      ropeScaling,
    };
  } finally {
    await handle.close();
  }
}
