// manage.ts — the memories that are kept on disk as their user handles them: listed, pinned, deleted, read again.
//
// In: the folder of all memories, ids that the list gave. Out: rows, and what was freed. An id is compared with those of the list and
// never becomes a path. Engines that use a memory are not asked: they read whole files by handles of their own and check what they read.

import { createHash } from "node:crypto";
import { rm, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { QuireError } from "../errors.ts";
import type { MemoryList, MemoryRow, RemovedMemory } from "../protocol.ts";
import { readAbout } from "./about.ts";
import { foldersIn, type IdentityFolder, memoriesIn, pinEnding, type StoredMemory } from "./folders.ts";
import { tidy } from "./space.ts";

/** A row with what it was made of. */
interface Listed {
  row: MemoryRow;
  stored: IdentityFolder;
  /** undefined: the rest of its folder. */
  memory: StoredMemory | undefined;
  /** Names of the files that nothing else needs. */
  own: string[];
  /** Names of all its files, pins apart. */
  all: string[];
}

/** What is kept, last used first. @param capBytes what memories may take. */
export async function listMemories(folder: string, capBytes: number): Promise<MemoryList> {
  const folders = await foldersIn(folder);
  const listed = (await Promise.all(folders.map(listFolder))).flat();
  const rows = listed.map(({ row }) => row).sort((a, b) => b.lastUsedMs - a.lastUsedMs);
  return { folder, bytes: bytesOf(folders.flatMap(({ files }) => files)), capBytes, rows };
}

/** Deletes a memory but for what others share with it. Throws "unknown-memory". */
export async function removeMemory(folder: string, id: string): Promise<RemovedMemory> {
  const { stored, memory, own } = await find(folder, id);
  const pin = memory === undefined ? [] : [memory.workspaceKey + pinEnding];
  const removed = await removeFiles(stored, [...own, ...pin]);
  await tidy(stored.folder);
  return removed;
}

/** Deletes all that a memory was made of, so that the next question reads again; it stays pinned. Throws "unknown-memory". */
export async function readMemoryAgain(folder: string, id: string): Promise<RemovedMemory> {
  const { stored, all } = await find(folder, id);
  return removeFiles(stored, all);
}

/** Throws "unknown-memory". */
export async function pinMemory(folder: string, id: string, pinned: boolean): Promise<null> {
  const { stored, memory } = await find(folder, id);
  if (memory === undefined) {
    const nextStep = "Pin the memory of a workspace.";
    throw new QuireError("bad-option", "What belongs to no workspace cannot be pinned.", { where: id, nextStep });
  }
  const file = path.join(stored.folder, memory.workspaceKey + pinEnding);
  if (pinned) await writeFile(file, "", { mode: 0o600 });
  else await rm(file, { force: true });
  return null;
}

/**
 * Deletes everything that was read.
 * @param tokensFolder where token ids of texts are kept: they are the texts, spelt otherwise
 */
export async function removeMemories(folder: string, tokensFolder: string): Promise<RemovedMemory> {
  const total: RemovedMemory = { freedBytes: 0, refusedFiles: 0, refused: "" };
  for (const stored of await foldersIn(folder)) {
    const { freedBytes, refusedFiles, refused } = await removeFiles(
      stored,
      stored.files.map(({ name }) => name),
    );
    total.freedBytes += freedBytes;
    total.refusedFiles += refusedFiles;
    total.refused ||= refused;
    if (refusedFiles === 0) await rm(stored.folder, { recursive: true, force: true }).catch(() => undefined);
  }
  await rmdir(folder).catch(() => undefined); // what is not ours stays in it
  await rm(tokensFolder, { recursive: true, force: true });
  return total;
}

async function find(folder: string, id: string): Promise<Listed> {
  for (const stored of await foldersIn(folder)) {
    const found = (await listFolder(stored)).find(({ row }) => row.id === id);
    if (found !== undefined) return found;
  }
  throw new QuireError("unknown-memory", `No memory with the id ${id} is kept.`, { where: id });
}

async function listFolder(stored: IdentityFolder): Promise<Listed[]> {
  const about = await readAbout(stored.folder);
  const sizes = new Map(stored.files.map((file) => [file.name, file]));
  const memories = await memoriesIn(stored);
  const needed = new Map<string, number>();
  for (const { segments } of memories) for (const name of segments) needed.set(name, (needed.get(name) ?? 0) + 1);
  const filesOf = (names: readonly string[]) => names.flatMap((name) => sizes.get(name) ?? []);
  const listed = memories.map((memory): Listed => {
    const manifests = memory.states.map(({ file }) => file.name);
    const all = [...manifests, ...memory.segments];
    const own = [...manifests, ...[...memory.segments].filter((name) => needed.get(name) === 1)];
    const [latest] = memory.states;
    const row: MemoryRow = {
      id: idOf(stored, memory.workspaceKey),
      kind: "memory",
      workspace: latest?.manifest.workspace ?? [],
      model: latest?.manifest.model || about?.model || "",
      backend: about?.backend ?? "",
      tokens: tokensOf(memory),
      patchedTokens: latest?.manifest.patchedTokens ?? 0,
      states: memory.states.length,
      bytes: bytesOf(filesOf(all)),
      ownBytes: bytesOf(filesOf(own)),
      firstReadMs: Math.round(Math.min(...filesOf(all).map(({ madeMs }) => madeMs))),
      lastUsedMs: Math.round(latest?.file.usedMs ?? 0),
      pinned: memory.pinned,
    };
    return { row, stored, memory, own, all };
  });
  const rest = restOf(stored, needed, about);
  return rest === undefined ? listed : [...listed, rest];
}

/** What no memory needs: documents of a reading that was cut off, of a state that was forgotten. */
function restOf(
  stored: IdentityFolder,
  needed: ReadonlyMap<string, number>,
  about: { model: string; backend: string } | undefined,
): Listed | undefined {
  const files = stored.files.filter(({ kind, name }) => kind === "segment" && !needed.has(name));
  if (files.length === 0) return undefined;
  const names = files.map(({ name }) => name);
  const bytes = bytesOf(files);
  const row: MemoryRow = {
    id: idOf(stored, ""),
    kind: "rest",
    workspace: [],
    model: about?.model ?? "",
    backend: about?.backend ?? "",
    tokens: 0,
    patchedTokens: 0,
    states: 0,
    bytes,
    ownBytes: bytes,
    firstReadMs: Math.round(Math.min(...files.map(({ madeMs }) => madeMs))),
    lastUsedMs: Math.round(Math.max(...files.map(({ usedMs }) => usedMs))),
    pinned: false,
  };
  return { row, stored, memory: undefined, own: names, all: names };
}

/** Of the state that was used last: the documents from the first on that are on disk as a whole. */
function tokensOf({ states, segments }: StoredMemory): number {
  let tokens = 0;
  for (const { pieces } of states[0]?.manifest.documents ?? []) {
    if (pieces.some(({ segment }) => !segments.has(segment))) break;
    for (const piece of pieces) tokens += piece.tokens;
  }
  return tokens;
}

/** Manifests go first, as they are named first: what is cut off between leaves a rest, not half a memory. */
async function removeFiles(stored: IdentityFolder, names: readonly string[]): Promise<RemovedMemory> {
  const sizes = new Map(stored.files.map(({ name, bytes }) => [name, bytes]));
  const done: RemovedMemory = { freedBytes: 0, refusedFiles: 0, refused: "" };
  for (const name of names) {
    try {
      await rm(path.join(stored.folder, name), { force: true });
      done.freedBytes += sizes.get(name) ?? 0;
    } catch (error) {
      done.refusedFiles++;
      done.refused ||= error instanceof Error ? error.message : String(error);
    }
  }
  return done;
}

function idOf({ folder }: IdentityFolder, workspaceKey: string): string {
  return createHash("sha256")
    .update(`${path.basename(folder)} ${workspaceKey}`)
    .digest("hex")
    .slice(0, 12);
}

function bytesOf(files: readonly { bytes: number }[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
