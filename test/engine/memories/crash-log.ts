// crash-log.ts — a disk that writes down what is done to it, and what may be left of that when the power goes at any moment.
//
// A file's bytes are certain once it was flushed, a folder's names once the folder was; of everything else any part may be there. A disk
// that lies flushes nothing: then any name may have a torn file.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { type DiskOperations, realDisk } from "../../../engine/memories/writing.ts";

type Operation =
  | { kind: "bytes"; file: string; bytes: Buffer }
  | { kind: "flush"; file: string }
  | { kind: "rename"; from: string; to: string }
  | { kind: "remove"; file: string }
  | { kind: "flushFolder" };

/** Names and bytes of the files of one folder. */
export type Files = Map<string, Buffer>;

export class CrashLog implements DiskOperations {
  readonly operations: Operation[] = [];
  readonly #written = new Set<string>();

  async write(file: string, text: string): Promise<void> {
    await realDisk.write(file, text);
    await this.#bytesOf(file);
  }
  async flush(file: string): Promise<void> {
    await this.#bytesOf(file); // where C++ wrote it
    await realDisk.flush(file);
    this.operations.push({ kind: "flush", file: path.basename(file) });
  }
  async rename(from: string, to: string): Promise<void> {
    await realDisk.rename(from, to);
    this.operations.push({ kind: "rename", from: path.basename(from), to: path.basename(to) });
    this.#written.delete(from);
  }
  async flushFolder(folder: string): Promise<void> {
    await realDisk.flushFolder(folder);
    this.operations.push({ kind: "flushFolder" });
  }
  async remove(file: string): Promise<void> {
    await realDisk.remove(file);
    this.operations.push({ kind: "remove", file: path.basename(file) });
    this.#written.delete(file);
  }

  async #bytesOf(file: string): Promise<void> {
    if (this.#written.has(file)) return;
    this.#written.add(file);
    this.operations.push({ kind: "bytes", file: path.basename(file), bytes: await readFile(file) });
  }
}

/**
 * What a crash after the first `count` operations may leave of `before` and them. @param random in [0, 1): which of the uncertain ones are
 * lost, and how files are torn.
 */
export function afterCrash(
  before: Files,
  operations: readonly Operation[],
  count: number,
  random: () => number,
  lies = false,
): Files {
  const names = new Map([...before].map(([name, bytes]) => [name, { bytes, certain: true }]));
  let uncertain: (() => void)[] = [];
  for (const operation of operations.slice(0, count)) {
    if (operation.kind === "bytes") names.set(operation.file, { bytes: operation.bytes, certain: false });
    else if (operation.kind === "flush") {
      const file = names.get(operation.file);
      if (file !== undefined && !lies) file.certain = true;
    } else if (operation.kind === "rename") {
      const { from, to } = operation;
      const file = names.get(from);
      names.delete(from);
      uncertain.push(() => file && names.set(to, file));
    } else if (operation.kind === "remove") {
      uncertain.push(() => names.delete(operation.file));
    } else {
      for (const change of uncertain) change();
      uncertain = [];
    }
  }
  for (const change of uncertain) if (random() < 0.5) change();
  return new Map([...names].map(([name, { bytes, certain }]) => [name, certain ? bytes : torn(bytes, random)]));
}

/** Whole, cut off, empty, or with blocks that never reached the disk. */
function torn(bytes: Buffer, random: () => number): Buffer {
  const way = Math.floor(random() * 4);
  if (way === 0) return bytes;
  if (way === 1) return bytes.subarray(0, Math.floor(random() * bytes.length));
  if (way === 2) return Buffer.alloc(0);
  const copy = Buffer.from(bytes);
  for (let at = 0; at < copy.length; at += 512) if (random() < 0.5) copy.fill(0, at, Math.min(copy.length, at + 512));
  return copy;
}
