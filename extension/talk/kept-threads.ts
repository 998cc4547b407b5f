// kept-threads.ts — threads as they lie in the workspace's storage: bounded, and parsed when they come back.
//
// In: what the storage held, whatever it is. Out: threads, oldest first; what is not one is dropped. Pure.

import * as z from "zod/mini";
import { panelMeter, panelReading, panelTurn } from "../../media/messages.ts";
import type { KeptThread } from "./conversation.ts";

const mostThreads = 20;
/** Characters of all threads together: they are read and written as a whole. */
const mostCharacters = 1_000_000;
/** A longer list of files is not kept; the next answer brings it again. */
const mostRows = 1_000;

const selection = z.object({ path: z.string(), startLine: z.number(), endLine: z.number(), text: z.string() });

const thread = z.object({
  id: z.string(),
  turns: z.array(z.object({ turn: panelTurn, selection: z.optional(selection), written: z.optional(z.string()) })),
  reading: z.optional(panelReading),
  meter: z.optional(panelMeter),
});

const stored = z.object({ version: z.literal(1), threads: z.array(z.unknown()) });

/** What to put into the storage: the newest threads, as many as fit. The last one is always there. */
export function packThreads(threads: readonly KeptThread[]): unknown {
  const kept: KeptThread[] = [];
  let room = mostCharacters;
  for (const one of [...threads].reverse()) {
    const packed = slim(one);
    room -= JSON.stringify(packed).length;
    if (kept.length > 0 && (room < 0 || kept.length === mostThreads)) break;
    kept.unshift(packed);
  }
  return { version: 1, threads: kept };
}

/** Threads of a storage, oldest first. */
export function unpackThreads(value: unknown): KeptThread[] {
  const parsed = stored.safeParse(value);
  if (!parsed.success) return [];
  return parsed.data.threads.flatMap((one) => {
    const { success, data } = thread.safeParse(one);
    return success ? [data] : [];
  });
}

function slim(kept: KeptThread): KeptThread {
  const { reading, ...rest } = kept;
  const small = reading !== undefined && reading.documents.length + reading.leftOut.length <= mostRows;
  return small ? kept : rest;
}
