// open-file.ts — opens what is still a plain file: never a link, and never a pipe that would wait for its writer.
//
// A path was looked at before it is opened; in between it may have become anything.

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

/** Both are missing on Windows, where a link needs rights to be made and a pipe is no file. */
const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
const pieceBytes = 1 << 16;

/** Hands the open file to `use` and closes it. Throws what the file system says, or that it is no file. */
export async function withFile<T>(absolutePath: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(absolutePath, flags);
  try {
    if (!(await handle.stat()).isFile()) throw new Error("it became something other than a file");
    return await use(handle);
  } finally {
    await handle.close();
  }
}

/** A file's beginning, from one read: `most` bytes, or fewer where it ends before. */
export async function readHead(handle: FileHandle, most: number): Promise<Buffer> {
  const buffer = Buffer.alloc(most);
  const { bytesRead } = await handle.read(buffer, 0, most, 0);
  return buffer.subarray(0, bytesRead);
}

/** The first `most` bytes, or all there are, also of a file that grows. */
export async function readUpTo(handle: FileHandle, most: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  while (size < most) {
    const piece = Buffer.alloc(Math.min(pieceBytes, most - size));
    const { bytesRead } = await handle.read(piece, 0, piece.length, size);
    if (bytesRead === 0) break;
    pieces.push(piece.subarray(0, bytesRead));
    size += bytesRead;
  }
  return Buffer.concat(pieces, size);
}

/** Why the file system would not give a file, in words. */
export function whyUnreadable(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT" || code === "ENOTDIR") return "it was deleted, or is not checked out";
  if (code === "EACCES" || code === "EPERM") return "its permissions forbid it";
  if (code === "ELOOP") return "it became a link";
  return error instanceof Error ? error.message : String(error);
}
