// force.ts — what a memory answers: the right answer forced behind a question, token by token, pages chosen as in the product.
//
// In: a memory, an item. Out: whether every token of the answer is the likeliest one (greedy decoding would give exactly it), and its loss.

import type { OpenModel } from "../../../engine/open-model.ts";
import type { HeldMemory } from "../../../engine/prefill/held-memory.ts";
import { dense, options } from "../../engine/generate-options.ts";
import { likeliest } from "../divergence.ts";
import type { AskedItem } from "./questions.ts";
import { never } from "./workspace-memory.ts";

export interface Forced {
  right: boolean;
  /** −ln p, sum over the answer's tokens. */
  loss: number;
  tokens: number;
}

export interface Tally {
  items: number;
  right: number;
  loss: number;
  tokens: number;
  /** Items with an answer that was right before the edit, and how often that one was given. */
  withOld: number;
  oldGiven: number;
  /** By item: right? */
  each: boolean[];
}

export const emptyTally = (): Tally => ({ items: 0, right: 0, loss: 0, tokens: 0, withOld: 0, oldGiven: 0, each: [] });

export async function force(
  model: OpenModel,
  held: HeldMemory,
  { question }: AskedItem,
  answer: string,
  pageBudget: number,
): Promise<Forced> {
  const { tokenizer, chat } = model;
  const { vocabulary } = model.file.geometry;
  const asked = Int32Array.from([
    ...tokenizer.encode(`Question: ${question}`),
    ...chat.afterQuestion,
    ...tokenizer.encode("`"),
  ]);
  const forced = Int32Array.from([...tokenizer.encode(answer), ...tokenizer.encode("`")]);
  await held.readTail(asked, true, never, () => {});
  const selection = { ...dense, pageBudget };
  const { logits, logProbabilities } = await held.generate(
    options({ maxTokens: forced.length, selection, forced, logits: true }),
    never,
    () => {},
  );
  if (logits === null) throw new Error("Logits were asked for.");
  return {
    right: forced.every((token, i) => likeliest(logits.subarray(i * vocabulary, (i + 1) * vocabulary)) === token),
    loss: -logProbabilities.reduce((sum, value) => sum + value, 0),
    tokens: forced.length,
  };
}

/** Asks an item of a memory and adds it to its group's tally. */
export async function ask(
  model: OpenModel,
  held: HeldMemory,
  item: AskedItem,
  pageBudget: number,
  tally: Tally,
): Promise<void> {
  const { right, loss, tokens } = await force(model, held, item, item.answer, pageBudget);
  tally.items++;
  tally.right += Number(right);
  tally.loss += loss;
  tally.tokens += tokens;
  tally.each.push(right);
  if (item.old === undefined) return;
  tally.withOld++;
  // What was right is the likeliest answer now: then the old one is not.
  if (!right) tally.oldGiven += Number((await force(model, held, item, item.old, pageBudget)).right);
}
