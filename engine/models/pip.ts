// pip.ts — runs the ordinary Python package client to bring one wheel to disk.
//
// In: a package name and version, a folder. Out: the path of the wheel. `pip download --no-deps --only-binary=:all:` installs
// nothing and runs nothing of the package's. The working directory is our own folder: `python3 -m` would import a folder
// named pip from a workspace that is not to be trusted. pip knows its index and proxies itself.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { QuireError } from "../errors.ts";
import { throwIfCancelled } from "./files.ts";
import { SourceFailure } from "./source.ts";

export const pipCommands: readonly (readonly [string, ...string[]])[] =
  process.platform === "win32"
    ? [
        ["py", "-3", "-m", "pip"],
        ["python", "-m", "pip"],
      ]
    : [
        ["python3", "-m", "pip"],
        ["python", "-m", "pip"],
      ];

export interface PipJob {
  package: string;
  version: string;
  /** A folder for this wheel alone. */
  folder: string;
  signal: AbortSignal | undefined;
  commands: readonly (readonly [string, ...string[]])[];
}

const installPip =
  "Install Python 3 with pip (on Debian: apt install python3-pip) and run it again, or put the model file in place by hand.";

/** The wheel in the folder, if one lies there. pip moves it there only when it is whole. */
export async function findWheel(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => []);
  const name = names.find((candidate) => candidate.endsWith(".whl"));
  return name === undefined ? undefined : path.join(folder, name);
}

interface Ended {
  status: number | null;
  stderr: string;
}

/** Runs to the end; undefined if there is no such program. A cancelled one is asked to stop, then made to. */
function run(
  command: readonly [string, ...string[]],
  args: string[],
  job: PipJob,
  temporary: string,
): Promise<Ended | undefined> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary, PYTHONUNBUFFERED: "1" };
    const child: ChildProcess = spawn(command[0], [...command.slice(1), ...args], {
      cwd: job.folder,
      env,
      stdio: ["ignore", "ignore", "pipe"],
      windowsHide: true,
    });
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-8_192);
    });
    let force: NodeJS.Timeout | undefined;
    const stop = (): void => {
      child.kill("SIGTERM");
      force = setTimeout(() => child.kill("SIGKILL"), 2_000);
    };
    job.signal?.addEventListener("abort", stop, { once: true });
    const done = (): void => {
      clearTimeout(force);
      job.signal?.removeEventListener("abort", stop);
    };
    child.on("error", (error: NodeJS.ErrnoException) => {
      done();
      if (error.code === "ENOENT") resolve(undefined);
      else reject(error);
    });
    child.on("close", (status) => {
      done();
      resolve({ status, stderr });
    });
  });
}

function failure(job: PipJob, { status, stderr }: Ended): Error {
  if (/No space left on device|Errno 28\b|not enough space on the disk/i.test(stderr)) {
    return new QuireError("disk-full", `The disk is full; the wheel of ${job.package} could not be written.`, {
      where: job.folder,
    });
  }
  const lines = stderr
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const last = lines.filter((line) => line.startsWith("ERROR:")).at(-1) ?? lines.at(-1) ?? `exit status ${status}`;
  return new SourceFailure(`pip could not fetch ${job.package} ${job.version}: ${last.slice(0, 300)}`);
}

/**
 * Brings the wheel into the folder, where a whole one may already lie. Throws SourceFailure where pip is missing or refuses,
 * "disk-full", "cancelled".
 */
export async function downloadWheel(job: PipJob): Promise<string> {
  const there = await findWheel(job.folder);
  if (there !== undefined) return there;
  const temporary = path.join(job.folder, "tmp");
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  // No cache: a gigabyte would stay in it, and what has arrived is kept in our own folder anyway.
  const args = [
    "download",
    "--no-deps",
    "--only-binary=:all:",
    "--no-cache-dir",
    "--disable-pip-version-check",
    "--no-input",
  ];
  args.push("--quiet", "--progress-bar", "off", "--timeout", "20", "--retries", "3", "--dest", job.folder);
  args.push(`${job.package}==${job.version}`);
  try {
    let missing = "there is no Python";
    for (const command of job.commands) {
      throwIfCancelled(job.signal);
      const ended = await run(command, args, job, temporary);
      throwIfCancelled(job.signal);
      if (ended === undefined) continue;
      const wheel = ended.status === 0 ? await findWheel(job.folder) : undefined;
      if (wheel !== undefined) return wheel;
      if (!/No module named pip/.test(ended.stderr)) throw failure(job, ended);
      missing = `${command[0]} has no pip`;
    }
    throw new SourceFailure(`pip is needed for this and ${missing}`, { nextStep: installPip });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
