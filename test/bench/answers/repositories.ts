// repositories.ts — the real repositories that the answers bench asks about, fetched with the ordinary package clients.
//
// In: a repository of the list. Out: a folder outside the checkout that holds its sources as they were published, in a git
// repository with one commit, so that they are collected the way a user's are. Versions and SHA-256 of the packages are pinned; a
// package that differs is refused. Tests, type declarations and built copies of the same code are left out: every token is read
// on the CPU. Nothing of a package is installed or run.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

export interface Repository {
  name: string;
  registry: "pypi" | "npm";
  package: string;
  version: string;
  sha256: string;
  licence: string;
  /** Paths of the package, "/" between segments, that belong to the repository. */
  keep: RegExp;
  /** Tokens of it that are read. For the large one a quarter of what it has. */
  tokenBudget: number;
  large: boolean;
}

/** Enough for each of the small ones as a whole. */
const everything = 20_000;

export const repositories: readonly Repository[] = [
  {
    name: "zict",
    registry: "pypi",
    package: "zict",
    version: "3.0.0",
    sha256: "5796e36bd0e0cc8cf0fbc1ace6a68912611c1dbd74750a3f3026b9b9d6a327ae",
    licence: "BSD-3-Clause",
    keep: /^zict\/[^/]+\.py$/,
    tokenBudget: everything,
    large: false,
  },
  {
    name: "typed-inject",
    registry: "npm",
    package: "typed-inject",
    version: "5.0.0",
    sha256: "771dfbf6b84f43a21fbc877b29c3543799be12e6cc363ea8100458e4110485a9",
    licence: "Apache-2.0",
    keep: /^src\/.*\.ts$/,
    tokenBudget: everything,
    large: false,
  },
  {
    name: "proper-lockfile",
    registry: "npm",
    package: "proper-lockfile",
    version: "4.1.2",
    sha256: "fd78914ba57caecbedbb928fb369510b01fa32e1c0fbca7b63ca16623a7a8968",
    licence: "MIT",
    keep: /^(?:index\.js|lib\/.*\.js)$/,
    tokenBudget: everything,
    large: false,
  },
  {
    name: "taskiq",
    registry: "pypi",
    package: "taskiq",
    version: "0.13.0",
    sha256: "b51e1961d8919bc897caa6f5484ac08d812341413a20a3704b69c597c4c154d2",
    licence: "MIT",
    keep: /^taskiq\/.*\.py$/,
    tokenBudget: 14_000,
    large: true,
  },
];

/** Where the bench keeps what it fetched: QUIRE_CACHE, else ~/.cache/quire. */
export function benchCache(): string {
  return join(process.env.QUIRE_CACHE ?? join(homedir(), ".cache", "quire"), "bench", "answers");
}

/** The repository's folder; fetched, checked and committed on first use. Throws with the client's words when it cannot be. */
export async function ensureRepository(
  repository: Repository,
  log: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
  cache: string = benchCache(),
): Promise<string> {
  const folder = join(cache, "repositories", `${repository.name}-${repository.version}`);
  if (await isThere(join(folder, ".git", "HEAD"))) return folder;
  log(`Fetching ${repository.package} ${repository.version} from ${repository.registry} …`);
  await mkdir(dirname(folder), { recursive: true });
  const work = await mkdtemp(join(dirname(folder), ".fetching-"));
  try {
    const archive = await download(repository, work);
    const found = createHash("sha256")
      .update(await readFile(archive))
      .digest("hex");
    if (found !== repository.sha256) {
      throw new Error(`${repository.package} ${repository.version} is not what it was: SHA-256 ${found}.`);
    }
    const unpacked = join(work, "unpacked");
    await mkdir(unpacked);
    // Both clients' machines have these: pip runs on Python, and npm packages are gzipped tar files.
    if (repository.registry === "pypi") await execute("python3", ["-m", "zipfile", "-e", archive, unpacked]);
    else await execute("tar", ["-xzf", archive, "-C", unpacked]);
    const tree = join(work, "tree");
    await keepFiles(repository.registry === "npm" ? join(unpacked, "package") : unpacked, tree, repository.keep);
    await commit(tree, `${repository.package} ${repository.version}`);
    await rm(folder, { recursive: true, force: true });
    await rename(tree, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

async function download(repository: Repository, work: string): Promise<string> {
  const folder = join(work, "archive");
  await mkdir(folder);
  if (repository.registry === "pypi") {
    const wanted = `${repository.package}==${repository.version}`;
    const flags = ["--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--dest", folder];
    await execute("python3", ["-m", "pip", "download", ...flags, wanted], { cwd: folder });
  } else {
    const flags = ["--silent", "--ignore-scripts", "--pack-destination", folder];
    await execute("npm", ["pack", ...flags, `${repository.package}@${repository.version}`], {
      cwd: folder,
      shell: process.platform === "win32",
    });
  }
  const [archive, ...others] = await readdir(folder);
  if (archive === undefined || others.length > 0) throw new Error(`${repository.package}: not one file was fetched.`);
  return join(folder, archive);
}

async function keepFiles(from: string, to: string, keep: RegExp): Promise<void> {
  const names = await readdir(from, { recursive: true, withFileTypes: true });
  const kept = names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(from.length + 1))
    .filter((path) => keep.test(path.replaceAll("\\", "/")));
  if (kept.length === 0) throw new Error(`Nothing in ${from} matches ${keep}.`);
  for (const path of kept) {
    await mkdir(dirname(join(to, path)), { recursive: true });
    await cp(join(from, path), join(to, path));
  }
}

async function commit(folder: string, message: string): Promise<void> {
  const nobody = ["-c", "user.name=bench", "-c", "user.email=bench@invalid", "-c", "commit.gpgsign=false"];
  const date = "2020-01-01T00:00:00Z";
  const env = { ...process.env, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date };
  await execute("git", ["init", "--quiet", "--initial-branch=main"], { cwd: folder });
  await execute("git", ["add", "--all"], { cwd: folder });
  await execute("git", [...nobody, "commit", "--quiet", "--message", message], { cwd: folder, env });
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
