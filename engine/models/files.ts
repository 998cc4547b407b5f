// files.ts — the files of a model in the per-user folder, their SHA-256, and the cache that spares hashing a gigabyte each time.
//
// In: a path. Out: a hash, remembered by size, modification time and inode in identity.json beside the models. A changed file
// has another of the three and is hashed again; identity.json is a convenience: lost or damaged, everything is hashed again.
import { createHash } from "node:crypto";
import { type FileHandle, open, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { QuireError } from "../errors.ts";

/** Where a model and what belongs to its download lie. */
export interface ModelPaths {
  file: string;
  part: string;
  /** Where the part came from, for resuming. */
  partState: string;
  /** Wheels that wait to be unpacked. */
  wheels: string;
  lock: string;
}

export function modelPaths(folder: string, fileName: string): ModelPaths {
  const file = path.join(folder, fileName);
  return { file, part: `${file}.part`, partState: `${file}.part.json`, wheels: `${file}.wheels`, lock: `${file}.lock` };
}

/** Bytes of a file, or undefined where there is none. */
export async function sizeOf(file: string): Promise<number | undefined> {
  try {
    const found = await stat(file);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Bytes of all files in a folder and below; 0 where there is none. What vanishes meanwhile does not count. */
export async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder, { recursive: true }).catch(() => [])) {
    bytes += (await sizeOf(path.join(folder, name)).catch(() => 0)) ?? 0;
  }
  return bytes;
}

/** Throws "cancelled" once the signal has fired. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new QuireError("cancelled", "Cancelled.");
}

export interface HashOptions {
  signal?: AbortSignal | undefined;
  onBytes?: ((bytes: number) => void) | undefined;
}

/** SHA-256, in hex, of bytes [start, end) of a file; undefined where the file is shorter. */
export async function hashRange(
  handle: FileHandle,
  start: number,
  end: number,
  { signal, onBytes }: HashOptions = {},
): Promise<string | undefined> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(Math.min(4 << 20, Math.max(1, end - start)));
  for (let at = start; at < end; ) {
    throwIfCancelled(signal);
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end - at), at);
    if (bytesRead === 0) return undefined;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
    onBytes?.(at - start);
  }
  return hash.digest("hex");
}

const identitySchema = z.record(
  z.string(),
  z.object({ size: z.string(), mtimeNs: z.string(), ino: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
);

type Identities = z.infer<typeof identitySchema>;

const cacheFile = (folder: string): string => path.join(folder, "identity.json");

async function readIdentities(folder: string): Promise<Identities> {
  try {
    return identitySchema.parse(JSON.parse(await readFile(cacheFile(folder), "utf8")));
  } catch {
    return {}; // absent or damaged: everything is hashed again
  }
}

async function writeIdentities(folder: string, identities: Identities): Promise<void> {
  const temporary = `${cacheFile(folder)}.${process.pid}`;
  await writeFile(temporary, JSON.stringify(identities), { mode: 0o600 });
  await rename(temporary, cacheFile(folder));
}

async function stamp(handle: FileHandle): Promise<{ size: string; mtimeNs: string; ino: string }> {
  const { size, mtimeNs, ino } = await handle.stat({ bigint: true });
  return { size: `${size}`, mtimeNs: `${mtimeNs}`, ino: `${ino}` };
}

/**
 * SHA-256 of a whole file, from the cache in `folder` where size, time and inode are as they were. `force` hashes anyway.
 * Throws "model-missing" where there is no file, "cancelled", and "model-corrupt" for a file that changes meanwhile.
 */
export async function fileHash(
  file: string,
  options: HashOptions & { folder: string; force?: boolean },
): Promise<string> {
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (cause) {
    throw new QuireError("model-missing", `There is no model file ${file}.`, { where: file, cause });
  }
  try {
    const before = await stamp(handle);
    const key = path.resolve(file);
    const known = (await readIdentities(options.folder))[key];
    const same = known?.size === before.size && known.mtimeNs === before.mtimeNs && known.ino === before.ino;
    if (known !== undefined && same && options.force !== true) return known.sha256;
    const sha256 = await hashRange(handle, 0, Number(before.size), options);
    const after = await stamp(handle);
    if (sha256 === undefined || after.size !== before.size || after.mtimeNs !== before.mtimeNs) {
      throw new QuireError("model-corrupt", `${file} changed while it was read.`, { where: file });
    }
    await rememberHash(options.folder, file, { ...after, sha256 });
    return sha256;
  } finally {
    await handle.close();
  }
}

async function rememberHash(folder: string, file: string, identity: Identities[string] | undefined): Promise<void> {
  const { [path.resolve(file)]: _old, ...others } = await readIdentities(folder);
  try {
    await writeIdentities(folder, identity === undefined ? others : { ...others, [path.resolve(file)]: identity });
  } catch {
    // A full or read-only disk: the hash is right all the same and is computed again next time.
  }
}

export async function forgetHash(folder: string, file: string): Promise<void> {
  await rememberHash(folder, file, undefined);
}

/** What is known of a file that was renamed is known of it under its new name. */
export async function moveHash(folder: string, from: string, to: string): Promise<void> {
  const known = (await readIdentities(folder))[path.resolve(from)];
  await rememberHash(folder, from, undefined);
  if (known !== undefined) await rememberHash(folder, to, known);
}
