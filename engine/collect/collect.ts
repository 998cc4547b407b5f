// collect.ts — which files a workspace has: listed per folder, then each looked at (its path, its kind, its beginning).
//
// In: folders and options. Out: files that can be read, and what was left out with reasons. Nothing is dropped in silence.
// It reads no more than a file's first 8 KiB, and that only when size or time changed since the cache saw it.

import { lstat, realpath, stat } from "node:fs/promises";
import path from "node:path";
import ignore from "ignore";
import { QuireError } from "../errors.ts";
import { ignoredByGit, type ListDeps, type Listing, lastChanges, listFiles, realListDeps } from "./list-files.ts";
import { readHead, whyUnreadable, withFile } from "./open-file.ts";
import { headBytes, refuseHead, refusePath, type Verdict } from "./refuse.ts";
import { prefixes } from "./shown-path.ts";
import type { Collected, CollectedFile, CollectOptions, LeftOut, WorkspaceFolder } from "./types.ts";
import { ignoredByFiles, judgeText, notOnDisk, unsavedIn } from "./unsaved.ts";

/** Verdicts on files' beginnings, by absolute path; valid while size and time are the same. */
export type HeadCache = Map<string, { bytes: number; modifiedMs: number; verdict: Verdict | null }>;

export interface CollectDeps extends ListDeps {
  heads: HeadCache;
}

/** Files looked at at once: disks like a queue, and the limit of open files is 256 on some systems. */
const atOnce = 64;

/** Lists and looks. Folders inside one another give each file once. Throws "no-such-folder", "cancelled". */
export async function collect(
  folders: readonly WorkspaceFolder[],
  options: CollectOptions,
  signal: AbortSignal,
  deps: CollectDeps = { ...realListDeps, heads: new Map() },
): Promise<Collected> {
  const collected: Collected = { files: [], leftOut: [], listedBy: [] };
  const seen = new Map<string, string>();
  for (const [prefix, folder] of prefixes(folders)) {
    const { listedBy, results } = await collectFolder(prefix, folder, options, signal, deps);
    collected.listedBy.push(listedBy);
    for (const result of results) {
      if ("reason" in result) {
        collected.leftOut.push(result);
        continue;
      }
      const earlier = seen.get(result.absolutePath);
      seen.set(result.absolutePath, earlier ?? result.path);
      if (earlier === undefined) collected.files.push(result);
      else collected.leftOut.push({ path: result.path, reason: "excluded", detail: `the same file as ${earlier}` });
    }
  }
  return collected;
}

async function collectFolder(
  prefix: string,
  folder: WorkspaceFolder,
  options: CollectOptions,
  signal: AbortSignal,
  deps: CollectDeps,
): Promise<{ listedBy: Collected["listedBy"][number]; results: (CollectedFile | LeftOut)[] }> {
  const root = await realpath(folder.root).catch(() => undefined);
  const found = root === undefined ? undefined : await stat(root);
  if (root === undefined || !found?.isDirectory()) {
    throw new QuireError("no-such-folder", `There is no folder ${folder.root}.`, { where: folder.root });
  }
  const { trusted } = options;
  const { ignored = false, submodules = false } = folder;
  const listing = await listFiles(root, { trusted, ignored, submodules }, signal, deps);
  const changes = listing.by === "git" ? await lastChanges(root, signal, deps) : new Map<string, number>();
  // A file must be wanted by the workspace and by its folder.
  const included = [options.include, folder.include ?? []].flatMap((globs) =>
    globs.length > 0 ? [ignore().add(globs)] : [],
  );
  const excluded = ignore().add([...options.exclude, ...(folder.exclude ?? [])]);
  const details = Object.entries(folder.details ?? {}).map(([glob, detail]) => ({ globs: ignore().add(glob), detail }));
  const isInside = insideOf(root);
  const unsaved = unsavedIn([folder.root, root], options.unsaved);
  const paths = [...listing.paths, ...(await newFiles(root, listing, [...unsaved.keys()], ignored, signal, deps))];

  const look = async (relative: string): Promise<CollectedFile | LeftOut> => {
    const shown = prefix + relative;
    const refused = (verdict: Verdict): LeftOut => ({ path: shown, ...verdict });
    if (relative.includes("\ufffd")) return refused({ reason: "unreadable", detail: "its name is not UTF-8" });
    if (ignore.isPathValid(relative)) {
      if (!included.every((globs) => globs.ignores(relative)))
        return refused({ reason: "excluded", detail: "not included" });
      if (excluded.ignores(relative)) return refused({ reason: "excluded" });
    }
    const detail = ignore.isPathValid(relative)
      ? details.findLast(({ globs }) => globs.ignores(relative))?.detail
      : undefined;
    if (detail === "off") return refused({ reason: "excluded", detail: "its detail is off" });
    const wanted = detail === undefined ? {} : { wanted: detail };
    const isTracked = listing.tracked.has(relative);
    const byPath = refusePath(relative, isTracked);
    if (byPath !== undefined) return refused(byPath);
    const absolutePath = path.join(root, relative);
    try {
      const text = unsaved.get(relative);
      const parent = text === undefined ? path.dirname(absolutePath) : await existing(path.dirname(absolutePath));
      if (!(await isInside(parent)))
        return refused({ reason: "outside the folder", detail: "behind a link that leaves it" });
      const status = text === undefined ? undefined : await lstat(absolutePath).catch(() => null);
      if (text !== undefined && (status === null || status?.isFile())) {
        const judged = judgeText(text, options.maxFileBytes);
        if ("reason" in judged) return refused(judged);
        const modifiedMs = status?.mtimeMs ?? Date.now();
        return {
          path: shown,
          absolutePath,
          ...judged,
          modifiedMs,
          changedMs: changes.get(relative) ?? modifiedMs,
          ...wanted,
          text,
        };
      }
      const verdict = await lookAt(absolutePath, root, options.maxFileBytes, deps.heads);
      if ("reason" in verdict) return refused(verdict);
      // With a history, a tracked file that none of its latest commits touched is an old one.
      const unknown = isTracked && changes.size > 0 ? 0 : verdict.modifiedMs;
      return { path: shown, absolutePath, ...verdict, changedMs: changes.get(relative) ?? unknown, ...wanted };
    } catch (error) {
      return refused({ reason: "unreadable", detail: whyUnreadable(error) });
    }
  };

  const results = new Array<CollectedFile | LeftOut | undefined>(paths.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < paths.length; index = next++) {
      if (signal.aborted) throw new QuireError("cancelled", "Stopped.");
      results[index] = await look(paths[index] ?? "");
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const why = listing.why === undefined ? {} : { why: listing.why };
  return {
    listedBy: { folder: folder.root, by: listing.by, ...why },
    results: results.filter((result) => result !== undefined),
  };
}

/** Files of editors that are not on disk yet and that nothing ignores. What is on disk and not listed was ignored: it stays so. */
async function newFiles(
  root: string,
  listing: Listing,
  edited: readonly string[],
  withIgnored: boolean,
  signal: AbortSignal,
  deps: CollectDeps,
): Promise<string[]> {
  if (edited.length === 0) return [];
  const listed = new Set(listing.paths);
  const added = await notOnDisk(
    root,
    edited.filter((relative) => !listed.has(relative)),
  );
  if (added.length === 0 || withIgnored) return added;
  const ignored =
    listing.by === "git" ? await ignoredByGit(root, added, signal, deps) : await ignoredByFiles(root, added);
  return added.filter((relative) => !ignored.has(relative));
}

/** The folder, or the nearest one above it that exists. */
async function existing(folder: string): Promise<string> {
  for (let at = folder; ; at = path.dirname(at)) {
    if (at === path.dirname(at) || (await stat(at).catch(() => undefined)) !== undefined) return at;
  }
}

/** Tells whether a folder, its links followed, lies inside `root`. An index may name files behind what is now a link. */
function insideOf(root: string): (folder: string) => Promise<boolean> {
  const known = new Map<string, Promise<boolean>>();
  return (folder) => {
    const before = known.get(folder);
    if (before !== undefined) return before;
    const answer = realpath(folder).then((real) => isWithin(root, real));
    known.set(folder, answer);
    return answer;
  };
}

function isWithin(root: string, real: string): boolean {
  return real === root || real.startsWith(root.endsWith(path.sep) ? root : root + path.sep);
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
    if (!isWithin(root, target)) return { reason: "outside the folder", detail: "a link that leaves it" };
    return { reason: "not a file", detail: "a link to something in the folder" };
  }
  if (link.isDirectory()) return { reason: "not a file", detail: "a submodule or a repository of its own" };
  if (!link.isFile()) return { reason: "not a file", detail: "a pipe, socket or device" };
  const facts = { bytes: link.size, modifiedMs: link.mtimeMs };
  if (link.size > maxBytes) return { reason: "too large", detail: `${link.size} bytes, the limit is ${maxBytes}` };
  const known = heads.get(absolutePath);
  if (known?.bytes === facts.bytes && known.modifiedMs === facts.modifiedMs) return known.verdict ?? facts;
  const head = await withFile(absolutePath, (handle) => readHead(handle, headBytes));
  const verdict = refuseHead(head, head.length < headBytes) ?? null;
  heads.set(absolutePath, { ...facts, verdict });
  return verdict ?? facts;
}
