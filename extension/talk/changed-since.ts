// changed-since.ts — marks answers whose files changed after they were given. Pure.
//
// In: a thread's turns, what it read, paths that changed. Out: the turns with the paths that are news, or undefined where none is.

import type { PanelTurn } from "../../media/messages.ts";
import type { KeptThread, KeptTurn } from "./conversation.ts";

/** From these stages on the files are read: what changes then is not in the answer that is still being written. */
const afterReading = new Set(["reading", "looking up", "reading question", "answering"]);

function hasRead({ answer, progress }: PanelTurn): boolean {
  return answer !== undefined || (progress !== undefined && afterReading.has(progress.stage));
}

export function markChanged(
  { turns, reading }: Pick<KeptThread, "turns" | "reading">,
  paths: readonly string[],
): KeptTurn[] | undefined {
  const read = new Set(reading?.documents.map(({ path }) => path));
  const known = paths.filter((path) => read.has(path));
  let news = false;
  const marked = turns.map((kept) => {
    const { changedSince = [] } = kept.turn;
    const added = hasRead(kept.turn) ? known.filter((path) => !changedSince.includes(path)) : [];
    if (added.length === 0) return kept;
    news = true;
    return { ...kept, turn: { ...kept.turn, changedSince: [...changedSince, ...added] } };
  });
  return news ? marked : undefined;
}
