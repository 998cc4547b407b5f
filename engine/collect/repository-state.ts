// repository-state.ts — which state of the repository was read: commit, branch, and how many of the files read differ from that commit.
//
// In: folders and the texts as they were read, unsaved editors' among them. Out: a state for each folder that has a commit; none where git
// may not be asked. Git only lists: what differs is told by hashing the texts here, since git's own comparison may run a filter that the
// repository's configuration names. Cached by commit.

import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import type { FolderState } from "../protocol.ts";
import { type ListDeps, realListDeps, safeGit } from "./list-files.ts";
import { runProgram } from "./run-program.ts";
import { pathWithin } from "./shown-path.ts";
import type { WorkspaceFolder } from "./types.ts";

/** A file as it was read. */
export interface ReadText {
  absolutePath: string;
  text: string;
}

/** Blob hashes of a folder's files at a commit, by path relative to the folder. */
interface Listed {
  commit: string;
  blobs: ReadonlyMap<string, string>;
}

/** What was listed last, by folder. */
export type CommitCache = Map<string, Listed>;

const timeoutMs = 3000;
/** Of a commit's hash as it is shown. */
const shownLength = 9;

/** The folders' states, in order; one without git, or without a commit, has none. Throws "cancelled". */
export async function folderStates(
  folders: readonly WorkspaceFolder[],
  files: readonly ReadText[],
  cache: CommitCache,
  signal: AbortSignal,
  deps: Pick<ListDeps, "git"> = realListDeps,
): Promise<FolderState[]> {
  const states = await Promise.all(folders.map((folder) => folderState(folder, files, cache, signal, deps)));
  return states.flatMap((state) => state ?? []);
}

async function folderState(
  { name, root }: WorkspaceFolder,
  files: readonly ReadText[],
  cache: CommitCache,
  signal: AbortSignal,
  deps: Pick<ListDeps, "git">,
): Promise<FolderState | undefined> {
  const git = (...args: string[]) => runProgram(deps.git, [...safeGit, ...args], root, signal, timeoutMs);
  const head = await git("rev-parse", "HEAD", "--abbrev-ref", "HEAD");
  const [commit = "", branch = ""] = head.text.trim().split("\n");
  if (!head.ok || !/^[0-9a-f]{40,64}$/.test(commit)) return undefined;
  let listed = cache.get(root);
  if (listed?.commit !== commit) {
    const tree = await git("ls-tree", "-r", "-z", commit);
    if (!tree.ok) return undefined;
    listed = { commit, blobs: blobsOf(tree.text) };
    cache.set(root, listed);
  }
  const { blobs } = listed;
  // Where git lists from is the real folder; files may be named by a link to it.
  const real = await realpath(root).catch(() => root);
  const isChanged = ({ absolutePath, text }: ReadText): boolean => {
    const within = pathWithin(real, absolutePath) ?? pathWithin(root, absolutePath);
    return within !== undefined && !isBlob(text, blobs.get(within));
  };
  return {
    folder: name,
    commit: commit.slice(0, shownLength),
    branch: branch === "HEAD" ? "" : branch,
    changedFiles: files.filter(isChanged).length,
  };
}

/** Of `ls-tree -r -z`: "mode type hash\tpath". */
function blobsOf(listing: string): Map<string, string> {
  return new Map(
    listing.split("\0").flatMap((entry) => {
      const parts = /^\d+ blob ([0-9a-f]+)\t(.+)$/s.exec(entry);
      return parts === null ? [] : [[parts[2] ?? "", parts[1] ?? ""] as const];
    }),
  );
}

/** Whether a text is that blob: as it is, with the line ends that git stores, or in the encodings that reading undoes. */
function isBlob(text: string, blob: string | undefined): boolean {
  if (blob === undefined) return false;
  return [
    () => Buffer.from(text, "utf8"),
    () => Buffer.from(text.replaceAll("\r\n", "\n"), "utf8"),
    () => Buffer.from(`\ufeff${text}`, "utf8"),
    () => Buffer.from(`\ufeff${text}`, "utf16le"),
    () => Buffer.from(`\ufeff${text}`, "utf16le").swap16(),
  ].some((form) => hashOf(form(), blob.length) === blob);
}

function hashOf(bytes: Buffer, digits: number): string {
  const algorithm = digits === 64 ? "sha256" : "sha1";
  return createHash(algorithm).update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
