// workspace.ts — real folders and git repositories for the tests of collecting, gone after each test.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type CollectDeps, collect } from "../../../engine/collect/collect.ts";
import { realListDeps } from "../../../engine/collect/list-files.ts";
import type { Collected, CollectOptions, LeftOut, WorkspaceFolder } from "../../../engine/collect/types.ts";

const made: string[] = [];

afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A new folder with these files in it. */
export function folderOf(files: Files): string {
  const root = realpathSync(mkdtempSync(path.join(tmpdir(), "quire-collect-")));
  made.push(root);
  writeFiles(root, files);
  return root;
}

export function writeFiles(root: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), content);
  }
}

/** Runs git in the folder as somebody with a name, whatever the machine's configuration. */
export function git(root: string, ...args: string[]): string {
  const who = ["-c", "user.name=A", "-c", "user.email=a@example.invalid", "-c", "init.defaultBranch=main"];
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_")));
  return execFileSync("git", [...who, ...args], {
    cwd: root,
    env: { ...env, GIT_CONFIG_GLOBAL: "/dev/null" },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** A new repository with these files committed, at the given time in seconds since 1970. */
export function repositoryOf(files: Files, seconds = 1_600_000_000): string {
  const root = folderOf(files);
  git(root, "init", "-q");
  commit(root, seconds);
  return root;
}

export function commit(root: string, seconds: number): void {
  git(root, "add", "-A", "-f");
  const date = `${seconds} +0000`;
  execFileSync("git", ["-c", "user.name=A", "-c", "user.email=a@example.invalid", "commit", "-q", "-m", "x"], {
    cwd: root,
    env: { ...process.env, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date },
  });
}

export const everything: CollectOptions = {
  include: [],
  exclude: [],
  trusted: true,
  maxFileBytes: 1_000_000,
  unsaved: [],
};

export function deps(changed: Partial<CollectDeps> = {}): CollectDeps {
  return { ...realListDeps, heads: new Map(), ...changed };
}

/** Collects one folder. */
export function collectOne(root: string, options: Partial<CollectOptions> = {}, use = deps()): Promise<Collected> {
  return collectThese([{ name: path.basename(root), root }], options, use);
}

/** Collects folders with their own settings. */
export function collectThese(
  folders: readonly WorkspaceFolder[],
  options: Partial<CollectOptions> = {},
  use = deps(),
): Promise<Collected> {
  return collect(folders, { ...everything, ...options }, new AbortController().signal, use);
}

export function pathsOf(collected: Collected): string[] {
  return collected.files.map((file) => file.path);
}

export function reasonsOf(collected: Collected): Record<string, LeftOut["reason"]> {
  return Object.fromEntries(collected.leftOut.map(({ path, reason }) => [path, reason]));
}
