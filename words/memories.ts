// memories.ts — what is said of a memory that is kept on disk: its name, its figures, what deleting takes and leaves. The same in the
// terminal, in the editor's list, and for a screen reader.
//
// In: rows of the engine's list, and the time. Out: short English text. Pure.

import { bytesText, counted, durationText, numberText, openly } from "./figures.ts";

/** What is told of a memory. */
export interface ToldMemory {
  kind: "memory" | "rest";
  workspace: readonly string[];
  model: string;
  tokens: number;
  patchedTokens: number;
  states: number;
  bytes: number;
  ownBytes: number;
  firstReadMs: number;
  lastUsedMs: number;
  pinned: boolean;
}

/** The last names of its folders. */
export function memoryName({ kind, workspace }: Pick<ToldMemory, "kind" | "workspace">): string {
  if (kind === "rest" || workspace.length === 0) return "Parts of earlier readings";
  return workspace.map((folder) => openly(folder.split(/[\\/]/).filter(Boolean).pop() ?? folder)).join(" + ");
}

/** "27,012 tokens", "812.0 MB", "used 2 hours ago": what a list shows beside the name. */
export function memoryFigures(memory: ToldMemory, nowMs: number): string[] {
  const { kind, model, tokens, bytes, lastUsedMs } = memory;
  return [
    ...(model === "" ? [] : [openly(model)]),
    ...(kind === "rest" ? [] : [counted(tokens, "token")]),
    bytesText(bytes),
    `used ${agoText(nowMs - lastUsedMs)}`,
  ];
}

/** Whatever else is so of it, each in a few words. */
export function memoryMarks({ kind, patchedTokens, states, pinned, bytes, ownBytes }: ToldMemory): string[] {
  return [
    ...(pinned ? ["pinned"] : []),
    ...(patchedTokens > 0 ? [`${counted(patchedTokens, "token")} patched after edits`] : []),
    ...(states > 1 ? [`${numberText(states)} states, as of branches`] : []),
    ...(ownBytes < bytes ? [`${bytesText(bytes - ownBytes)} shared with other memories`] : []),
    ...(kind === "rest" ? ["of readings that were cut off or edited since"] : []),
  ];
}

/** Everything about it as one sentence, for the ear. */
export function memorySentence(memory: ToldMemory, nowMs: number): string {
  const read = `first read ${agoText(nowMs - memory.firstReadMs)}`;
  return `${[memoryName(memory), ...memoryFigures(memory, nowMs), read, ...memoryMarks(memory)].join(", ")}.`;
}

/** 7_200_000 → "2 hours ago". */
export function agoText(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (!(seconds >= 60)) return "just now";
  const days = Math.floor(seconds / 86_400);
  if (days >= 1) return `${counted(days, "day")} ago`;
  return `${seconds < 3600 ? durationText(seconds) : counted(Math.floor(seconds / 3600), "hour")} ago`;
}

/** "2 memories, 1.2 GB of the 10.0 GB that they may take." */
export function totalText(memories: readonly ToldMemory[], bytes: number, capBytes: number): string {
  const count = counted(memories.filter(({ kind }) => kind === "memory").length, "memory", "memories");
  const limit = capBytes === 0 ? "; nothing more is kept" : ` of the ${bytesText(capBytes)} that they may take`;
  return `${count}, ${bytesText(bytes)}${limit}.`;
}

/** What "delete everything" is about to take. */
export function everythingText(memories: readonly ToldMemory[], bytes: number): string {
  const count = counted(memories.filter(({ kind }) => kind === "memory").length, "memory", "memories");
  return `${count} (${bytesText(bytes)}) and the token ids of what was read`;
}

/** What stays after "delete everything". */
export function modelsStayText(models: readonly { bytesOnDisk: number }[]): string {
  const here = models.filter(({ bytesOnDisk }) => bytesOnDisk > 0);
  if (here.length === 0) return "No models of Quire's catalog are on this machine.";
  const bytes = here.reduce((sum, { bytesOnDisk }) => sum + bytesOnDisk, 0);
  return `${counted(here.length, "model")} (${bytesText(bytes)}) ${here.length === 1 ? "stays" : "stay"}.`;
}
