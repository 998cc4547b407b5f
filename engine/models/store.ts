// store.ts — the models on disk: which are there, whether they are what the publisher made, and their removal.
//
// In: catalog entries and the models' folder. Out: states, paths, freed bytes. It fetches nothing.
import { rm } from "node:fs/promises";
import { QuireError } from "../errors.ts";
import { catalog, type ModelEntry } from "./catalog.ts";
import { bytesBelow, fileHash, forgetHash, type HashOptions, modelPaths, sizeOf } from "./files.ts";
import { acquireLock } from "./lock.ts";

export interface ModelState {
  entry: ModelEntry;
  /** "corrupt": a file of another size lies in its place. "present" says nothing of its hash: verifyModel does. */
  state: "present" | "partial" | "corrupt" | "missing";
  path: string;
  bytesOnDisk: number;
}

/** State of each model, without hashing. */
export async function listModels(folder: string, entries: readonly ModelEntry[] = catalog): Promise<ModelState[]> {
  return Promise.all(
    entries.map(async (entry) => {
      const paths = modelPaths(folder, entry.file);
      const whole = await sizeOf(paths.file);
      const begun = ((await sizeOf(paths.part)) ?? 0) + (await bytesBelow(paths.wheels));
      const state =
        whole === entry.bytes ? "present" : whole !== undefined ? "corrupt" : begun > 0 ? "partial" : "missing";
      return { entry, state, path: paths.file, bytesOnDisk: (whole ?? 0) + begun };
    }),
  );
}

/**
 * The path of a model whose bytes are the publisher's. Hashes only if the file changed since the last time, or with `force`.
 * Throws "model-missing", "model-corrupt" or "cancelled".
 */
export async function verifyModel(
  entry: ModelEntry,
  options: HashOptions & { folder: string; force?: boolean },
): Promise<string> {
  const { file } = modelPaths(options.folder, entry.file);
  const bytes = await sizeOf(file);
  if (bytes === undefined) {
    throw new QuireError("model-missing", `${entry.title} is not on this machine.`, {
      where: file,
      nextStep: `Fetch it with \`quire models fetch ${entry.name}\`.`,
    });
  }
  const problem =
    bytes !== entry.bytes
      ? `it has ${bytes} bytes instead of ${entry.bytes}`
      : (await fileHash(file, options)) !== entry.sha256
        ? "its SHA-256 is not the publisher's"
        : undefined;
  if (problem === undefined) return file;
  throw new QuireError("model-corrupt", `${file} is not ${entry.title}: ${problem}.`, {
    where: file,
    nextStep: `Fetch it again with \`quire models fetch ${entry.name}\`.`,
  });
}

/** Removes a model and all that is left of its downloads; returns the freed bytes. Throws "busy" while it is being fetched. */
export async function removeModel(entry: ModelEntry, { folder }: { folder: string }): Promise<number> {
  const [found] = await listModels(folder, [entry]);
  if (found === undefined || found.bytesOnDisk === 0) return 0;
  const paths = modelPaths(folder, entry.file);
  const lock = await acquireLock(paths.lock, {
    onWait: (holder) => {
      throw new QuireError("busy", `${entry.title} is being fetched by process ${holder}.`, {
        where: paths.file,
        nextStep: "Stop that process first, or wait for it.",
      });
    },
  });
  try {
    for (const file of [paths.file, paths.part, paths.partState, paths.wheels])
      await rm(file, { recursive: true, force: true });
    await forgetHash(folder, paths.file);
  } finally {
    await lock.release();
  }
  return found.bytesOnDisk;
}
