// thread-records.ts — a thread's earlier turns as the token ids that they were in memory, and which of them still fit.
//
// In: a thread's turns as the client tells them. Out: ids for those that this process answered itself, so that a thread goes on from the
// same ids after another one was in between. What it does not know is encoded again from the text by the caller. In memory only.

import type { Turn } from "../protocol.ts";

/** Threads remembered; the one not used for longest goes first. */
const mostThreads = 16;

interface Told {
  turn: Turn;
  tokens: Int32Array;
}

export class ThreadRecords {
  readonly #threads = new Map<string, Told[]>();

  /** Ids of the turns from the first on, as far as they are the ones remembered. */
  recall(thread: string, turns: readonly Turn[]): Int32Array[] {
    const told = this.#threads.get(thread) ?? [];
    const known: Int32Array[] = [];
    for (const [index, turn] of turns.entries()) {
      const record = told[index];
      if (record === undefined || !sameTurn(record.turn, turn)) break;
      known.push(record.tokens);
    }
    return known;
  }

  /** Keeps the turn that was just answered behind `before`, turns as the client told them; ids of those are kept where known. */
  remember(thread: string, before: readonly Turn[], turn: Turn, tokens: Int32Array): void {
    const known = this.recall(thread, before);
    this.#threads.delete(thread);
    // A turn whose predecessors are not known cannot be recalled: recalling stops at the first gap.
    if (known.length < before.length) return;
    const told = known.flatMap((ids, index) => {
      const earlier = before[index];
      return earlier === undefined ? [] : [{ turn: earlier, tokens: ids }];
    });
    this.#threads.set(thread, [...told, { turn, tokens }]);
    for (const oldest of this.#threads.keys()) {
      if (this.#threads.size <= mostThreads) break;
      this.#threads.delete(oldest);
    }
  }
}

export interface ChosenTurns {
  /** Ids of the turns that stay, oldest first. */
  turns: Int32Array[];
  /** How many of the oldest were left out. */
  dropped: number;
}

/**
 * The turns that fit `room` tokens with `between` after each: as they were, if all of them do; else all from their short form (without
 * what was looked up for them), without the oldest ones where even that is too long.
 */
export function fitTurns(
  asTheyWere: readonly Int32Array[],
  short: readonly Int32Array[],
  between: number,
  room: number,
): ChosenTurns {
  const size = (turns: readonly Int32Array[]): number => turns.reduce((sum, ids) => sum + ids.length + between, 0);
  if (size(asTheyWere) <= room) return { turns: [...asTheyWere], dropped: 0 };
  let dropped = 0;
  while (dropped < short.length && size(short.slice(dropped)) > room) dropped++;
  return { turns: short.slice(dropped), dropped };
}

/** A tail: the turns with the template's pieces between them, and the new question. */
export function joinTurns(turns: readonly Int32Array[], between: Int32Array, question: Int32Array): Int32Array {
  return Int32Array.from([...turns.flatMap((ids) => [...ids, ...between]), ...question]);
}

function sameTurn(a: Turn, b: Turn): boolean {
  return a.question === b.question && a.answer === b.answer && sameSelection(a.selection, b.selection);
}

function sameSelection(a: Turn["selection"], b: Turn["selection"]): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.path === b.path && a.startLine === b.startLine && a.endLine === b.endLine && a.text === b.text;
}
