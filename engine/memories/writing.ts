// writing.ts — gives files that were written their names, in groups: all are flushed, then renamed, then their folder is flushed.
//
// In: temporary files, written and closed, and the names that they are to have. It works beside the reading, so that no read waits for the
// disk; a name is given only to what is on the disk. What a crash may leave is a temporary file, or some of a group's names.

import { open, rename, rm } from "node:fs/promises";
import path from "node:path";

/** What is done to the disk; a test cuts it off anywhere. */
export interface DiskOperations {
  write: (file: string, text: string) => Promise<void>;
  /** Returns when the file's bytes are on the disk. */
  flush: (file: string) => Promise<void>;
  rename: (from: string, to: string) => Promise<void>;
  /** Returns when the names in a folder are on the disk, as far as the system can promise that. */
  flushFolder: (folder: string) => Promise<void>;
  remove: (file: string) => Promise<void>;
}

export const realDisk: DiskOperations = {
  async write(file, text) {
    const handle = await open(file, "wx", 0o600);
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
  },
  async flush(file) {
    const handle = await open(file, "r+");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  rename,
  async flushFolder(folder) {
    // Windows and some disks cannot; the names are then only as lasting as they make them, which costs a cold read.
    const handle = await open(folder, "r").catch(() => undefined);
    await handle?.sync().catch(() => undefined);
    await handle?.close();
  },
  remove: (file) => rm(file, { force: true, recursive: true }),
};

/** Bytes of a group, and how long its first file waits for others. Each file costs a flush of its own, the folder one for the group. */
const groupBytes = 64e6;
const groupMs = 2000;
/** Flushes at a time: a disk gathers those that wait together. */
const flushesAtOnce = 8;

interface Written {
  temporary: string;
  file: string;
  bytes: number;
}

export class Writing {
  readonly #folder: string;
  readonly #disk: DiskOperations;
  readonly #failed: (error: unknown) => void;
  readonly #now: () => number;
  #group: Written[] = [];
  #groupBegan = 0;
  /** Files that were written and have no name yet. */
  readonly #nameless = new Set<string>();
  #last: Promise<void> = Promise.resolve();

  /** @param failed is told of each group that could not be put on the disk. */
  constructor(
    folder: string,
    failed: (error: unknown) => void,
    disk: DiskOperations = realDisk,
    now: () => number = () => performance.now(),
  ) {
    this.#folder = folder;
    this.#failed = failed;
    this.#disk = disk;
    this.#now = now;
  }

  /** Where a file that is to be named `file` is written until then. */
  temporary(file: string): string {
    return `${file}.${process.pid}.tmp`;
  }

  /** Whether a file of this name was added and is on its way. */
  has(file: string): boolean {
    return this.#nameless.has(file);
  }

  /** The temporary file of `file` was written. */
  add(file: string, bytes: number): void {
    if (this.#group.length === 0) this.#groupBegan = this.#now();
    this.#group.push({ temporary: this.temporary(file), file, bytes });
    this.#nameless.add(file);
    const bytesWaiting = this.#group.reduce((sum, written) => sum + written.bytes, 0);
    if (bytesWaiting >= groupBytes || this.#now() - this.#groupBegan >= groupMs) this.#commit();
  }

  /** Puts what was added on the disk, then does `work` there; it may throw. */
  afterwards(work: (disk: DiskOperations) => Promise<void>): void {
    if (this.#group.length > 0) this.#commit();
    this.#after(() => work(this.#disk));
  }

  /** Puts what was added on the disk and waits until all of it is there, or is said to have failed. Never throws. */
  async settled(): Promise<void> {
    if (this.#group.length > 0) this.#commit();
    await this.#last;
  }

  #commit(): void {
    const group = this.#group;
    this.#group = [];
    this.#after(async () => {
      try {
        for (let from = 0; from < group.length; from += flushesAtOnce) {
          const some = group.slice(from, from + flushesAtOnce);
          await Promise.all(some.map(({ temporary }) => this.#disk.flush(temporary)));
        }
        for (const { temporary, file } of group) await this.#disk.rename(temporary, file);
        await this.#disk.flushFolder(this.#folder);
      } catch (error) {
        await Promise.all(group.map(({ temporary }) => this.#disk.remove(temporary).catch(() => undefined)));
        throw error;
      } finally {
        for (const { file } of group) this.#nameless.delete(file);
      }
    });
  }

  #after(work: () => Promise<void>): void {
    this.#last = this.#last.then(work).catch((error: unknown) => this.#failed(error));
  }
}

/** Writes a text under a name that only a whole file has. */
export async function writeWhole(disk: DiskOperations, file: string, temporary: string, text: string): Promise<void> {
  try {
    await disk.remove(temporary); // of an earlier process with this number
    await disk.write(temporary, text);
    await disk.flush(temporary);
    await disk.rename(temporary, file);
  } catch (error) {
    await disk.remove(temporary).catch(() => undefined);
    throw error;
  }
  await disk.flushFolder(path.dirname(file));
}
