// list-files.ts — the paths of a folder: by git where it may be asked, else by ripgrep. Knows nothing of contents.
//
// Git runs nothing of the repository's and fetches nothing: no fsmonitor, hooks, signature checks, external diffs, locks or
// transports, whatever the repository's configuration says.

import { access, lstat } from "node:fs/promises";
import path from "node:path";
import { rgPath } from "@vscode/ripgrep";
import { QuireError } from "../errors.ts";
import { type ProgramOutput, runProgram } from "./run-program.ts";

export interface ListDeps {
  git: string;
  rg: string;
}

export const realListDeps: ListDeps = { git: "git", rg: process.env.QUIRE_RIPGREP ?? rgPath };

export interface Listing {
  /** Relative to the folder, "/" between segments, sorted by code unit; a folder (a submodule) may be among them. */
  paths: string[];
  by: "git" | "ripgrep";
  /** The paths that git tracks; empty when ripgrep listed. */
  tracked: Set<string>;
  /** Why it was not git. */
  why?: string;
}

/** What every call of git begins with. */
export const safeGit = [
  "--no-optional-locks",
  "--no-pager",
  "-c",
  "core.fsmonitor=false",
  "-c",
  "core.hooksPath=/dev/null",
  "-c",
  "log.showSignature=false",
  "-c",
  "protocol.allow=never",
];
const logTimeoutMs = 3000;

export interface ListOptions {
  /** False: no git is run. */
  trusted: boolean;
  /** True: what git ignores is listed too. */
  ignored?: boolean;
  /** True: submodules' files are listed, instead of the submodules. */
  submodules?: boolean;
}

/** Lists a folder. Throws "cancelled", and "internal" where ripgrep is needed and missing. */
export async function listFiles(
  root: string,
  options: ListOptions,
  signal: AbortSignal,
  deps: ListDeps = realListDeps,
): Promise<Listing> {
  const listing = await listOne(root, options, signal, deps);
  return options.submodules === true && listing.by === "git"
    ? withSubmodules(root, listing, options, signal, deps)
    : listing;
}

/** The listing with the files of submodules, and of other repositories within, in the place of these. */
async function withSubmodules(
  root: string,
  listing: Listing,
  options: ListOptions,
  signal: AbortSignal,
  deps: ListDeps,
): Promise<Listing> {
  const paths: string[] = [];
  const tracked = new Set(listing.tracked);
  for (const entry of listing.paths) {
    const name = entry.replace(/\/$/, "");
    const found = await lstat(path.join(root, name)).catch(() => undefined);
    if (found?.isDirectory() !== true) {
      paths.push(entry);
      continue;
    }
    const inner = await listFiles(path.join(root, name), options, signal, deps);
    paths.push(...inner.paths.map((below) => `${name}/${below}`));
    for (const below of inner.tracked) tracked.add(`${name}/${below}`);
  }
  return { ...listing, paths: sorted(paths), tracked };
}

async function listOne(
  root: string,
  { trusted, ignored = false }: ListOptions,
  signal: AbortSignal,
  deps: ListDeps,
): Promise<Listing> {
  let why = "the workspace is not trusted, so git was not run";
  let repository = true;
  if (trusted) {
    // -t marks what is tracked ("H") and what is not ("?").
    const args = [...safeGit, "ls-files", "-t", "-co", ...(ignored ? [] : ["--exclude-standard"]), "-z"];
    const git = await runProgram(deps.git, args, root, signal);
    const entries = git.ok ? git.text.split("\0").filter((entry) => entry.length > 2) : [];
    if (entries.length > 0) {
      const tracked = new Set(entries.filter((entry) => !entry.startsWith("? ")).map((entry) => entry.slice(2)));
      return { paths: sorted(entries.map((entry) => entry.slice(2))), by: "git", tracked };
    }
    why = whyNotGit(git);
    repository = git.missing;
  }
  const ownRules = !repository || !(await isInRepository(root));
  const rules = ignored ? ["--no-ignore"] : ownRules ? ownRulesOnly : [];
  let paths = await ripgrepFiles(root, rules, signal, deps);
  // A folder that the repository around it ignores is read all the same when it is asked for by name.
  if (paths.length === 0 && !ownRules && !ignored) paths = await ripgrepFiles(root, ownRulesOnly, signal, deps);
  return { paths, by: "ripgrep", tracked: new Set(), why };
}

/** Ignore files count although there is no repository, and those above the folder do not. */
const ownRulesOnly = ["--no-require-git", "--no-ignore-parent"];

/** @param rules options that say which ignore files count */
async function ripgrepFiles(
  root: string,
  rules: readonly string[],
  signal: AbortSignal,
  deps: ListDeps,
): Promise<string[]> {
  const args = ["--files", "--no-config", "--null", "--hidden", "--glob", "!.git", "--no-messages", ...rules];
  const found = await runProgram(deps.rg, args, root, signal);
  if (found.missing) throw new QuireError("internal", `ripgrep was not found at ${deps.rg}.`, { where: deps.rg });
  const paths = found.text.split("\0").filter((entry) => entry !== "");
  return sorted(path.sep === "\\" ? paths.map((entry) => entry.replaceAll("\\", "/")) : paths);
}

function whyNotGit(git: ProgramOutput): string {
  if (git.ok) return "git lists nothing here";
  if (git.missing) return "git is not installed";
  if (git.stopped) return "git took too long or listed too much";
  if (git.complaint.includes("dubious ownership")) return "git does not trust the folder's owner (safe.directory)";
  if (git.complaint.includes("not a git repository")) return "it is not in a git repository";
  return `git failed: ${git.complaint.split("\n")[0] ?? ""}`;
}

async function isInRepository(root: string): Promise<boolean> {
  for (let folder = root; ; folder = path.dirname(folder)) {
    const found = await access(path.join(folder, ".git")).then(
      () => true,
      () => false,
    );
    if (found || folder === path.dirname(folder)) return found;
  }
}

/**
 * When each path last changed, in milliseconds, from the latest commits; a file not among them is not in the result. Empty
 * where git cannot tell within its time.
 */
export async function lastChanges(
  root: string,
  signal: AbortSignal,
  deps: ListDeps = realListDeps,
): Promise<Map<string, number>> {
  const what = ["log", "-n", "500", "--no-renames", "--no-ext-diff", "--no-textconv", "--name-only", "--relative"];
  const log = await runProgram(
    deps.git,
    [...safeGit, ...what, "-z", "--format=%x01%H %ct"],
    root,
    signal,
    logTimeoutMs,
  );
  const changes = new Map<string, number>();
  let time = 0;
  for (const record of log.text.split("\0")) {
    const commit = /^\u0001[0-9a-f]{40,64} (\d+)$/.exec(record);
    // The first path of a commit has a line break before it.
    const changed = record.startsWith("\n") ? record.slice(1) : record;
    if (commit !== null) time = Number(commit[1]) * 1000;
    else if (changed !== "" && !changes.has(changed)) changes.set(changed, time);
  }
  return changes;
}

/** Those of the relative paths that git ignores; they need not exist. One call each: they are few. */
export async function ignoredByGit(
  root: string,
  paths: readonly string[],
  signal: AbortSignal,
  deps: ListDeps = realListDeps,
): Promise<Set<string>> {
  const ignored = new Set<string>();
  for (const relative of paths) {
    const { ok } = await runProgram(deps.git, [...safeGit, "check-ignore", "-q", "--", relative], root, signal);
    if (ok) ignored.add(relative);
  }
  return ignored;
}

function sorted(paths: readonly string[]): string[] {
  return [...new Set(paths)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
