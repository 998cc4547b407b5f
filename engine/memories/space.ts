// space.ts — what saved memories take on disk: counted, and the least recently used files removed to stay under the cap.
//
// A file's modification time says when it was last used (access times are unreliable). Of one memory, later documents count as
// used a little earlier, since each is worthless without those before it. What vanishes meanwhile was another process's work.

import { readdir, rm, rmdir, stat, utimes } from "node:fs/promises";
import path from "node:path";

interface SavedFile {
  file: string;
  bytes: number;
  usedMs: number;
}

/** A temporary file as old as this belongs to a process that is gone. */
const abandonedMs = 3_600_000;

async function savedFiles(folder: string): Promise<SavedFile[]> {
  const found: SavedFile[] = [];
  for (const memory of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (!memory.isDirectory()) continue;
    const inside = path.join(folder, memory.name);
    for (const name of await readdir(inside).catch(() => [])) {
      const file = path.join(inside, name);
      const status = await stat(file).catch(() => undefined);
      if (status?.isFile()) found.push({ file, bytes: status.size, usedMs: status.mtimeMs });
    }
  }
  return found;
}

export class DiskSpace {
  readonly #folder: string;
  readonly #cap: number;
  readonly #now: () => number;
  #used: number | undefined;

  /** @param folder of all memories. @param cap in bytes. */
  constructor(folder: string, cap: number, now: () => number = Date.now) {
    this.#folder = folder;
    this.#cap = cap;
    this.#now = now;
  }

  /** Removes what was not used for longest until `bytes` more fit; never a file of `kept`. False: they do not fit. */
  async makeRoom(bytes: number, kept: ReadonlySet<string>): Promise<boolean> {
    if (this.#used !== undefined && this.#used + bytes <= this.#cap) return true;
    const files = await savedFiles(this.#folder);
    const abandoned = files.filter(({ file, usedMs }) => file.endsWith(".tmp") && this.#now() - usedMs > abandonedMs);
    await Promise.all(abandoned.map(({ file }) => rm(file, { force: true })));
    const held = files.filter((file) => !abandoned.includes(file)).sort((a, b) => a.usedMs - b.usedMs);
    let used = held.reduce((sum, file) => sum + file.bytes, 0);
    for (const { file, bytes: freed } of held) {
      if (used + bytes <= this.#cap) break;
      if (kept.has(file) || file.endsWith(".tmp")) continue;
      await rm(file, { force: true });
      await rmdir(path.dirname(file)).catch(() => undefined); // where others are left, it stays
      used -= freed;
    }
    this.#used = used;
    return used + bytes <= this.#cap;
  }

  /** A file of that many bytes was added. */
  added(bytes: number): void {
    if (this.#used !== undefined) this.#used += bytes;
  }

  /** The files were used just now, the earlier ones a little later. */
  async touch(files: readonly string[]): Promise<void> {
    const now = this.#now();
    for (const [index, file] of files.entries()) {
      const when = new Date(now - index);
      await utimes(file, when, when).catch(() => undefined);
    }
  }
}
