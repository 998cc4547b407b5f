// list-files.ts — the paths of a folder: by git where it may be asked, else by ripgrep. Knows nothing of contents.
//
// Git runs nothing of the repository's: no fsmonitor, no hooks, no locks, and none of the caller's GIT_ variables.

import { spawn } from "node:child_process";
import { rgPath } from "@vscode/ripgrep";
import { QuireError } from "../errors.ts";

export interface ListDeps {
  git: string;
  rg: string;
}

export const realListDeps: ListDeps = { git: "git", rg: process.env.QUIRE_RIPGREP ?? rgPath };

export interface Listing {
  /** Relative to the folder, "/" between segments. */
  paths: string[];
  by: "git" | "ripgrep";
  why?: string;
}

const safeGit = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-optional-locks"];
/** More output than that is no source repository. */
const maxOutputBytes = 256 << 20;

/** Lists a folder. Throws "cancelled"; "unreadable" folders give an empty listing with the reason. */
export async function listFiles(
  root: string,
  trusted: boolean,
  signal: AbortSignal,
  deps: ListDeps = realListDeps,
): Promise<Listing> {
  let why = "the workspace is not trusted, so git was not run";
  if (trusted) {
    const git = await output(deps.git, [...safeGit, "ls-files", "-co", "--exclude-standard", "-z"], root, signal);
    if (git.ok)
      return { paths: [...new Set(git.text.split("\0").filter((path) => path !== ""))].sort(byCode), by: "git" };
    why = git.missing ? "git is not installed" : "it is not in a git repository";
  }
  const args = ["--files", "--no-config", "--null", "--hidden", "--glob", "!.git", "--no-messages"];
  const found = await output(deps.rg, args, root, signal);
  if (!found.ok && found.missing)
    throw new QuireError("internal", `ripgrep was not found at ${deps.rg}.`, { where: deps.rg });
  const paths = found.text.split("\0").filter((path) => path !== "");
  const slashes = process.platform === "win32" ? paths.map((path) => path.replaceAll("\\", "/")) : paths;
  return { paths: slashes.sort(byCode), by: "ripgrep", why };
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
  const changes = new Map<string, number>();
  const log = await output(
    deps.git,
    [...safeGit, "log", "-n", "500", "--no-renames", "--name-only", "--relative", "-z", "--format=%x01%ct"],
    root,
    signal,
    3000,
  );
  let time = 0;
  for (const record of log.text.split("\0")) {
    for (const part of record.split("\n")) {
      if (part.startsWith("\u0001")) time = Number(part.slice(1)) * 1000;
      else if (part !== "" && !changes.has(part)) changes.set(part, time);
    }
  }
  return changes;
}

const byCode = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

interface Output {
  ok: boolean;
  /** The program is not there. */
  missing: boolean;
  text: string;
}

function output(
  program: string,
  args: string[],
  cwd: string,
  signal: AbortSignal,
  timeoutMs = 60_000,
): Promise<Output> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new QuireError("cancelled", "Stopped."));
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_")));
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "ignore"], signal, windowsHide: true });
    const timer = setTimeout(() => child.kill(), timeoutMs);
    const pieces: Buffer[] = [];
    let size = 0;
    child.stdout.on("data", (piece: Buffer) => {
      size += piece.length;
      if (size > maxOutputBytes) child.kill();
      else pieces.push(piece);
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (signal.aborted) reject(new QuireError("cancelled", "Stopped."));
      else resolve({ ok: false, missing: error.code === "ENOENT", text: "" });
    });
    child.on("close", (status) => {
      clearTimeout(timer);
      if (signal.aborted) reject(new QuireError("cancelled", "Stopped."));
      else resolve({ ok: status === 0, missing: false, text: Buffer.concat(pieces).toString("utf8") });
    });
  });
}
