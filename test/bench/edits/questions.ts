// questions.ts — which items are asked at a point of the replay: about edited things, with what was right before, and untouched ones.
//
// In: the files in memory as they were when it was read, and now. Out: items in groups. Pure.

import type { SourceFile } from "../quality/corpus.ts";
import { type Item, makeItems } from "../quality/items.ts";

export interface AskedItem extends Item {
  group: "edited" | "untouched";
  /** What was right when the memory was read, where that was something else. */
  old: string | undefined;
}

const plenty = 1200;

/** At most `most` items, half of them about edited things where there are as many. */
export function itemsAt(before: readonly SourceFile[], now: readonly SourceFile[], most: number): AskedItem[] {
  const answers = new Map(makeItems(before, plenty).map(({ question, answer }) => [question, answer]));
  const all = makeItems(now, plenty).map((item): AskedItem => {
    const was = answers.get(item.question);
    const group = was === item.answer ? "untouched" : "edited";
    return { ...item, group, old: group === "edited" ? was : undefined };
  });
  // What had another answer before comes first: it is the only kind that can show an old value.
  const edited = all
    .filter(({ group }) => group === "edited")
    .sort((a, b) => Number(b.old !== undefined) - Number(a.old !== undefined));
  const untouched = all.filter(({ group }) => group === "untouched");
  const half = Math.min(edited.length, Math.max(most >> 1, most - untouched.length));
  return [...edited.slice(0, half), ...untouched.slice(0, most - half)];
}
