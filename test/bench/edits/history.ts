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

/** The latest `most` commits that touch the folders. Throws where there are none. */
export function openHistory(repository: string, folders: readonly string[], most: number): History {
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
  const commits = git(...touching)
    .trim()
    .split("\n")
    .reverse();
  const [first] = commits;
  if (first === undefined || first === "") throw new Error(`No commit of ${repository} touches ${folders.join(", ")}.`);
  return {
    root,
    start: git("rev-parse", `${first}~1`).trim(),
    commits,
    checkout: (commit) => void git("checkout", "-q", "--force", commit),
    dispose: () => rmSync(root, { recursive: true, force: true }),
  };
}
