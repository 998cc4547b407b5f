// read-text.ts — a file's text as it is now, decoded once, with the hash of its bytes. Lines are kept as they are.

import { createHash } from "node:crypto";
import { readUpTo, whyUnreadable, withFile } from "./open-file.ts";
import { decodeText } from "./refuse.ts";
import type { CollectedFile, LeftOut } from "./types.ts";

export interface FileText {
  text: string;
  /** SHA-256 of the bytes, in hex. */
  hash: string;
}

/** Reads a file once. What cannot be read comes back with its reason: deleted or grown since it was collected, not UTF-8. */
export async function readText(file: CollectedFile, maxBytes: number): Promise<FileText | LeftOut> {
  const refused = (reason: LeftOut["reason"], detail: string): LeftOut => ({ path: file.path, reason, detail });
  let bytes: Buffer;
  try {
    bytes = await withFile(file.absolutePath, (handle) => readUpTo(handle, maxBytes + 1));
  } catch (error) {
    return refused("unreadable", whyUnreadable(error));
  }
  if (bytes.length > maxBytes) return refused("too large", `it grew beyond ${maxBytes} bytes while it was read`);
  if (bytes.length === 0) return refused("empty", "it was emptied meanwhile");
  const text = decodeText(bytes, true);
  if (text === undefined) return refused("wrong encoding", "it is not UTF-8, or UTF-16 with a byte order mark");
  if (text.includes("\0")) return refused("binary", "it has NUL bytes");
  return { text, hash: createHash("sha256").update(bytes).digest("hex") };
}
