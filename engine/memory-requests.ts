// memory-requests.ts — what a client asks about memories that are kept on disk: list, pin, delete, read again. Reads no file of a workspace.
//
// Before anything is deleted the engine lets go of what it holds, after the question that runs: so nothing is taken from under an
// answer, and the next question finds what the disk says. Other engines keep what they hold until they end.

import { listMemories, pinMemory, readMemoryAgain, removeMemories, removeMemory } from "./memories/manage.ts";
import { memoryCap } from "./memories/settings.ts";
import { memoriesFolder, tokensFolder } from "./paths.ts";
import type { MemoryList, RemovedMemory } from "./protocol.ts";

/** The engine, as far as it is needed here. */
interface Holder {
  /** After what runs: closes the memories it holds, with their models where `models` says so. */
  forgetMemories(models: boolean): Promise<void>;
}

export function listKept(): Promise<MemoryList> {
  return listMemories(memoriesFolder(), memoryCap());
}

export function pinKept(id: string, pinned: boolean): Promise<null> {
  return pinMemory(memoriesFolder(), id, pinned);
}

export async function removeKept(id: string, holder: Holder): Promise<RemovedMemory> {
  await holder.forgetMemories(false);
  return removeMemory(memoriesFolder(), id);
}

export async function readKeptAgain(id: string, holder: Holder): Promise<RemovedMemory> {
  await holder.forgetMemories(false);
  return readMemoryAgain(memoriesFolder(), id);
}

/** Everything that was read; with the models goes what they know of token ids. */
export async function removeAllKept(holder: Holder): Promise<RemovedMemory> {
  await holder.forgetMemories(true);
  return removeMemories(memoriesFolder(), tokensFolder());
}
