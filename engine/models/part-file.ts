// part-file.ts — the growing beginning of a model file: always a prefix of the published bytes, whichever source they came from.
//
// In: chunks in order. Out: a file that can be resumed after any interruption. A full disk is "disk-full", and what was written
// stays. It does not know where the bytes come from; whether they are right is decided by their hash, later.
import { type FileHandle, open } from "node:fs/promises";
import { QuireError } from "../errors.ts";

/** What is needed of a file; real ones are FileHandles. */
export type PartHandle = Pick<FileHandle, "write" | "truncate" | "sync" | "close" | "read">;
export type OpenPart = (file: string) => Promise<PartHandle>;

const openReal: OpenPart = async (file) => {
  try {
    return await open(file, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return open(file, "wx+", 0o600);
  }
};

/** Turns the system's word for a full disk into ours, anything else stays as it is. */
export function asDiskFull(error: unknown, file: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new QuireError("disk-full", `The disk is full; ${file} could not be written.`, { where: file, cause: error });
}

export class PartFile {
  readonly path: string;
  #length: number;
  readonly #handle: PartHandle;

  private constructor(path: string, handle: PartHandle, length: number) {
    this.path = path;
    this.#handle = handle;
    this.#length = length;
  }

  /** Opens or makes it. `length`: how much of it to keep. */
  static async open(path: string, length: number, openPart: OpenPart = openReal): Promise<PartFile> {
    try {
      const handle = await openPart(path);
      await handle.truncate(length);
      return new PartFile(path, handle, length);
    } catch (error) {
      throw asDiskFull(error, path);
    }
  }

  get length(): number {
    return this.#length;
  }

  async append(chunk: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < chunk.length; ) {
        const { bytesWritten } = await this.#handle.write(chunk, done, chunk.length - done, this.#length);
        done += bytesWritten;
        this.#length += bytesWritten;
      }
    } catch (error) {
      throw asDiskFull(error, this.path);
    }
  }

  async truncate(length: number): Promise<void> {
    await this.#handle.truncate(length);
    this.#length = length;
  }

  /** Puts everything on the disk itself. */
  async sync(): Promise<void> {
    try {
      await this.#handle.sync();
    } catch (error) {
      throw asDiskFull(error, this.path);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
