// history.ts — a repository's commits, one after the other, in a clone of its own: what a workspace looks like while people work.
//
// In: a repository, the folders that matter. Out: the commits that touch them, oldest first, and a folder to check them out in.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export interface History {
  root: string;
  /** Before the first of the commits. */
  start: string;
  commits: string[];
  checkout(commit: string): void;
  dispose(): void;
}

/** The latest `most` commits that touch the folders, from when these held `leastBytes`. Throws where there are none. */
export function openHistory(repository: string, folders: readonly string[], most: number, leastBytes: number): History {
  const root = mkdtempSync(path.join(tmpdir(), "quire-edits-"));
  const git = (...args: string[]): string =>
    execFileSync("git", args, {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 64 << 20,
      stdio: ["ignore", "pipe", "ignore"],
    });
  git("clone", "-q", "--no-checkout", repository, ".");
  const touching = ["log", "--first-parent", "--no-merges", "--format=%H", "-n", String(most), "--", ...folders];
  const sizeBefore = (commit: string): number =>
    git("ls-tree", "-r", "-l", `${commit}~1`, "--", ...folders)
      .split("\n")
      .reduce((sum, line) => sum + Number(/^\d+ blob \w+ +(\d+)/.exec(line)?.[1] ?? 0), 0);
  const all = git(...touching)
    .trim()
    .split("\n")
    .filter((commit) => commit !== "")
    .reverse();
  const from = all.findIndex((commit) => sizeBefore(commit) >= leastBytes);
  const commits = from < 0 ? [] : all.slice(from);
  const [first] = commits;
  if (first === undefined) {
    rmSync(root, { recursive: true, force: true });
    throw new Error(`No commit of ${repository} touches enough of ${folders.join(", ")}.`);
  }
  return {
    root,
    start: git("rev-parse", `${first}~1`).trim(),
    commits,
    checkout: (commit) => void git("checkout", "-q", "--force", commit),
    dispose: () => rmSync(root, { recursive: true, force: true }),
  };
}
