// collect.ts — which files a workspace has: listed per folder, then each looked at (its path, its kind, its beginning).
//
// In: folders and options. Out: files that can be read, and what was left out with reasons. Nothing is dropped in silence.
// It reads no more than a file's first 8 KiB, and that only when size or time changed since the cache saw it.

import { type FileHandle, lstat, open, realpath, stat } from "node:fs/promises";
import path from "node:path";
import ignore from "ignore";
import { QuireError } from "../errors.ts";
import { type ListDeps, lastChanges, listFiles, realListDeps } from "./list-files.ts";
import { headBytes, refuseHead, refusePath, type Verdict } from "./refuse.ts";
import type { Collected, CollectedFile, CollectOptions, LeftOut, WorkspaceFolder } from "./types.ts";

/** Verdicts on files' beginnings, by absolute path; valid while size and time are the same. */
export type HeadCache = Map<string, { bytes: number; modifiedMs: number; verdict: Verdict | null }>;

export interface CollectDeps extends ListDeps {
  heads: HeadCache;
}

/** Files looked at at once: disks like a queue, and the limit of open files is 256 on some systems. */
const atOnce = 64;

/** Lists and looks. Throws "no-such-folder", "cancelled". */
export async function collect(
  folders: readonly WorkspaceFolder[],
  options: CollectOptions,
  signal: AbortSignal,
  deps: CollectDeps = { ...realListDeps, heads: new Map() },
): Promise<Collected> {
  const collected: Collected = { files: [], leftOut: [], listedBy: [] };
  for (const [prefix, folder] of prefixes(folders))
    await collectFolder(prefix, folder, options, signal, deps, collected);
  return collected;
}

/** What stands before a folder's paths: nothing for a single folder, else its name, made unique. */
export function prefixes(folders: readonly WorkspaceFolder[]): [string, WorkspaceFolder][] {
  if (folders.length === 1) return folders.map((folder) => ["", folder]);
  const seen = new Map<string, number>();
  return folders.map((folder) => {
    const times = (seen.get(folder.name) ?? 0) + 1;
    seen.set(folder.name, times);
    return [`${folder.name}${times === 1 ? "" : `-${times}`}/`, folder];
  });
}

async function collectFolder(
  prefix: string,
  folder: WorkspaceFolder,
  options: CollectOptions,
  signal: AbortSignal,
  deps: CollectDeps,
  into: Collected,
): Promise<void> {
  const root = await realpath(folder.root).catch(() => undefined);
  const found = root === undefined ? undefined : await stat(root);
  if (root === undefined || !found?.isDirectory()) {
    throw new QuireError("no-such-folder", `There is no folder ${folder.root}.`, { where: folder.root });
  }
  const listing = await listFiles(root, options.trusted, signal, deps);
  into.listedBy.push({
    folder: folder.root,
    by: listing.by,
    ...(listing.why === undefined ? {} : { why: listing.why }),
  });
  const changes = listing.by === "git" ? await lastChanges(root, signal, deps) : new Map<string, number>();

  const included = options.include.length > 0 ? ignore().add(options.include) : undefined;
  const excluded = ignore().add(options.exclude);
  const look = async (relative: string): Promise<CollectedFile | LeftOut> => {
    const shown = prefix + relative;
    const refused = (verdict: Verdict): LeftOut => ({ path: shown, ...verdict });
    if (relative.includes("\ufffd")) return refused({ reason: "unreadable", detail: "its name is not UTF-8" });
    if (ignore.isPathValid(relative)) {
      if (included !== undefined && !included.ignores(relative))
        return refused({ reason: "excluded", detail: "not included" });
      if (excluded.ignores(relative)) return refused({ reason: "excluded" });
    }
    const byPath = refusePath(relative);
    if (byPath !== undefined) return refused(byPath);
    const absolutePath = path.join(root, relative);
    try {
      const verdict = await lookAt(absolutePath, root, options.maxFileBytes, deps.heads);
      if ("reason" in verdict) return refused(verdict);
      // With a history, a file that none of its latest commits touched is an old one.
      const unknown = changes.size > 0 ? 0 : verdict.modifiedMs;
      return { path: shown, absolutePath, ...verdict, changedMs: changes.get(relative) ?? unknown };
    } catch (error) {
      return refused({ reason: "unreadable", detail: whyUnreadable(error) });
    }
  };

  const results = new Array<CollectedFile | LeftOut | undefined>(listing.paths.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < listing.paths.length; index = next++) {
      if (signal.aborted) throw new QuireError("cancelled", "Stopped.");
      results[index] = await look(listing.paths[index] ?? "");
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  for (const result of results) {
    if (result === undefined) continue;
    if ("reason" in result) into.leftOut.push(result);
    else into.files.push(result);
  }
}

async function lookAt(
  absolutePath: string,
  root: string,
  maxBytes: number,
  heads: HeadCache,
): Promise<{ bytes: number; modifiedMs: number } | Verdict> {
  const link = await lstat(absolutePath);
  if (link.isSymbolicLink()) {
    const target = await realpath(absolutePath).catch(() => undefined);
    if (target === undefined) return { reason: "unreadable", detail: "a link to nothing or to itself" };
    if (target !== root && !target.startsWith(root + path.sep))
      return { reason: "outside the folder", detail: "a link that leaves it" };
    return { reason: "not a file", detail: "a link to something in the folder" };
  }
  if (link.isDirectory()) return { reason: "not a file", detail: "a submodule or a repository of its own" };
  if (!link.isFile()) return { reason: "not a file", detail: "a pipe, socket or device" };
  const facts = { bytes: link.size, modifiedMs: link.mtimeMs };
  if (link.size > maxBytes) return { reason: "too large", detail: `${link.size} bytes, the limit is ${maxBytes}` };
  const known = heads.get(absolutePath);
  if (known?.bytes === facts.bytes && known.modifiedMs === facts.modifiedMs) return known.verdict ?? facts;
  const verdict = (await readHead(absolutePath)) ?? null;
  heads.set(absolutePath, { ...facts, verdict });
  return verdict ?? facts;
}

async function readHead(absolutePath: string): Promise<Verdict | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(absolutePath, "r");
    const buffer = Buffer.alloc(headBytes);
    const { bytesRead } = await handle.read(buffer, 0, headBytes, 0);
    return refuseHead(buffer.subarray(0, bytesRead), bytesRead < headBytes);
  } finally {
    await handle?.close();
  }
}

function whyUnreadable(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return "it was deleted meanwhile";
  if (code === "EACCES" || code === "EPERM") return "its permissions forbid it";
  return error instanceof Error ? error.message : String(error);
}
