// space.ts — what saved memories take on disk: counted, and the least recently used files removed to stay under the cap.
//
// A file's modification time says when it was last used (access times are unreliable). Of one memory, later documents count as
// used a little earlier, since each is worthless without those before it. What a pinned memory needs goes last. What vanishes meanwhile
// was another process's work.

import { rm, rmdir, utimes } from "node:fs/promises";
import path from "node:path";
import { foldersIn, type IdentityFolder, memoriesIn, readFolder, type StoredFile } from "./folders.ts";

/** A temporary file as old as this belongs to a process that is gone. */
const abandonedMs = 3_600_000;

interface Removable {
  file: string;
  bytes: number;
  usedMs: number;
  pinned: boolean;
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

  /** Removes what was not used for longest until `bytes` more fit; never a file of `keep`. False: they do not fit. */
  async makeRoom(bytes: number, keep: () => Iterable<string>): Promise<boolean> {
    if (this.#used !== undefined && this.#used + bytes <= this.#cap) return true;
    const kept = new Set(keep());
    const folders = await foldersIn(this.#folder);
    let used = 0;
    for (const { folder, files } of folders) {
      for (const file of files) {
        if (this.#isAbandoned(file)) await rm(path.join(folder, file.name), { force: true }).catch(() => undefined);
        else used += file.bytes;
      }
    }
    if (used + bytes > this.#cap) {
      const emptied = new Set<string>();
      for (const { file, bytes: freed } of await removable(folders)) {
        if (used + bytes <= this.#cap) break;
        if (kept.has(file)) continue;
        const gone = await rm(file, { force: true }).then(
          () => true,
          () => false, // in use, where the system does not let go of such a file
        );
        if (!gone) continue;
        used -= freed;
        emptied.add(path.dirname(file));
      }
      for (const folder of emptied) used -= await tidy(folder);
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

  #isAbandoned({ kind, usedMs }: StoredFile): boolean {
    return kind === "temporary" && this.#now() - usedMs > abandonedMs;
  }
}

/** The documents' files in the order in which they go: the least recently used first, what pinned memories need after all others. */
async function removable(folders: readonly IdentityFolder[]): Promise<Removable[]> {
  const found: Removable[] = [];
  for (const stored of folders) {
    const anyPin = stored.files.some(({ kind }) => kind === "pin");
    const memories = anyPin ? await memoriesIn(stored) : [];
    const pinned = new Set(memories.filter((memory) => memory.pinned).flatMap(({ segments }) => [...segments]));
    for (const { name, bytes, usedMs, kind } of stored.files) {
      if (kind === "segment")
        found.push({ file: path.join(stored.folder, name), bytes, usedMs, pinned: pinned.has(name) });
    }
  }
  return found.sort((a, b) => Number(a.pinned) - Number(b.pinned) || a.usedMs - b.usedMs);
}

/** Removes the manifests that name nothing which is left, and a folder in which no memory is left. Resolves with the bytes freed. */
export async function tidy(folder: string): Promise<number> {
  const stored = await readFolder(folder);
  const living = new Set((await memoriesIn(stored)).flatMap(({ states }) => states.map(({ file }) => file.name)));
  const isEmpty = !stored.files.some(({ kind }) => kind === "segment" || kind === "temporary" || kind === "other");
  let freed = 0;
  for (const { name, bytes, kind } of stored.files) {
    const useless = kind === "manifest" ? !living.has(name) : isEmpty;
    if (!useless) continue;
    await rm(path.join(folder, name), { force: true }).catch(() => undefined);
    freed += bytes;
  }
  if (isEmpty) await rmdir(folder).catch(() => undefined); // where others are left, it stays
  return freed;
}
