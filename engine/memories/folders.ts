// folders.ts — what lies in the folder of all memories: per identity the files of documents, the manifests that name them, the pins.
//
// In: the folder. Out: names, sizes, times, and for each file which workspaces need it. It reads and never writes; what vanishes
// meanwhile was another process's work. Names that are not ours are not looked at.

import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { aboutName } from "./about.ts";
import { type Manifest, readManifest } from "./manifest.ts";

export interface StoredFile {
  name: string;
  bytes: number;
  /** Its last use, in milliseconds since 1970. */
  usedMs: number;
  madeMs: number;
  kind: "segment" | "manifest" | "pin" | "about" | "temporary" | "other";
}

/** The folder of one identity. */
export interface IdentityFolder {
  folder: string;
  files: StoredFile[];
}

/** The states of one workspace. */
export interface StoredMemory {
  workspaceKey: string;
  /** Last used first; at least one. */
  states: { file: StoredFile; manifest: Manifest }[];
  /** Names of the segments that any of its states needs. */
  segments: Set<string>;
  pinned: boolean;
}

export const pinEnding = ".pinned";

/** The folders of all identities, with what is in them. */
export async function foldersIn(folder: string): Promise<IdentityFolder[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const ours = entries.filter((entry) => entry.isDirectory() && /^[0-9a-f]{16}$/.test(entry.name));
  return Promise.all(ours.map(({ name }) => readFolder(path.join(folder, name))));
}

export async function readFolder(folder: string): Promise<IdentityFolder> {
  const names = await readdir(folder).catch(() => []);
  const files = await Promise.all(
    names.map(async (name) => {
      const status = await stat(path.join(folder, name)).catch(() => undefined);
      if (!status?.isFile()) return undefined;
      const { size, mtimeMs, birthtimeMs } = status;
      return { name, bytes: size, usedMs: mtimeMs, madeMs: birthtimeMs || mtimeMs, kind: kindOf(name) };
    }),
  );
  return { folder, files: files.filter((file) => file !== undefined) };
}

/** The memories of a folder, last used first. A manifest that is damaged, or names nothing that is left, is none. */
export async function memoriesIn({ folder, files }: IdentityFolder): Promise<StoredMemory[]> {
  const here = new Set(files.filter(({ kind }) => kind === "segment").map(({ name }) => name));
  const pins = new Set(files.filter(({ kind }) => kind === "pin").map(({ name }) => keyOf(name)));
  const found = new Map<string, StoredMemory>();
  const manifests = files.filter(({ kind }) => kind === "manifest").sort((a, b) => b.usedMs - a.usedMs);
  for (const file of manifests) {
    const manifest = await readManifest(path.join(folder, file.name));
    const segments = manifest === undefined ? [] : segmentsOf(manifest);
    if (manifest === undefined || !segments.some((segment) => here.has(segment))) continue;
    const workspaceKey = keyOf(file.name);
    const memory = found.get(workspaceKey) ?? {
      workspaceKey,
      states: [],
      segments: new Set<string>(),
      pinned: pins.has(workspaceKey),
    };
    memory.states.push({ file, manifest });
    for (const segment of segments) if (here.has(segment)) memory.segments.add(segment);
    found.set(workspaceKey, memory);
  }
  return [...found.values()];
}

/** Names of the segments that a state needs. */
export function segmentsOf({ documents }: Manifest): string[] {
  return [...new Set(documents.flatMap(({ pieces }) => pieces.map(({ segment }) => segment)))];
}

/** The workspace's part of a manifest's or a pin's name. */
function keyOf(name: string): string {
  return name.slice(0, name.indexOf("."));
}

function kindOf(name: string): StoredFile["kind"] {
  if (name.endsWith(".tmp")) return "temporary";
  if (/^[0-9a-f]{64}$/.test(name)) return "segment";
  if (/^[0-9a-f]{16}\.[0-9a-f]+\.memory$/.test(name)) return "manifest";
  if (/^[0-9a-f]{16}\.pinned$/.test(name)) return "pin";
  return name === aboutName ? "about" : "other";
}
