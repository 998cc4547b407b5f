// latency.ts — one edited function in a memory: how long until it is in step, and what of that a question still waits for.
//
// In: a workspace and its memory. Out: medians and worst cases over edits of functions spread over the files, every second one with a new
// function besides, so that the outline's line changes too.

import { median, type Row } from "../results-file.ts";
import { editFunction } from "./changes.ts";
import type { WorkspaceMemory } from "./workspace-memory.ts";

export async function measureLatency(
  memory: WorkspaceMemory,
  edits: number,
  say: (line: string) => void,
): Promise<Row> {
  const read = await memory.follow([]);
  say(`${memory.tokens} tokens read in ${read.seconds.toFixed(0)} s; ${edits} functions are edited`);
  const texts = new Map<string, string>();
  const [seconds, encoded, left, ways]: [number[], number[], number[], string[]] = [[], [], [], []];
  const files = memory.files();
  for (let turn = 0; turn < edits; turn++) {
    // From the first file to the last, and on from one whose functions are none.
    const start = Math.floor((turn * files.length) / edits);
    const [path, edited] =
      [...files.slice(start), ...files.slice(0, start)]
        .map(
          ({ path, text }) =>
            [memory.absolute(path), editFunction(texts.get(memory.absolute(path)) ?? text, turn, turn)] as const,
        )
        .find(([, text]) => text !== undefined) ?? [];
    if (path === undefined || edited === undefined) throw new Error("No file in memory has a function.");
    texts.set(path, edited);
    const unsaved = [...texts].map(([file, text]) => ({ path: file, text }));
    const followed = await memory.follow(unsaved);
    seconds.push(followed.seconds);
    encoded.push(followed.encodedTokens);
    ways.push(followed.how);
    left.push((await memory.left(unsaved)).seconds);
  }
  const worst = (values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[Math.ceil(values.length * 0.9) - 1] ?? 0;
  return {
    tokens: memory.tokens,
    edits,
    inPlace: ways.filter((how) => how === "in place").length,
    secondsMedian: median(seconds),
    seconds90: worst(seconds),
    encodedMedian: median(encoded),
    encoded90: worst(encoded),
    leftMedian: median(left),
    left90: worst(left),
    readSeconds: read.seconds,
  };
}
