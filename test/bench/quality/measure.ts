// measure.ts — one context read in all the ways, and every item forced in all the ways of attending.
//
// In: an open model, files, items. Out: an outcome for each item and way, as they come. The first way is dense, and the others are
// held to its logits. It must not know of rows and files.

import { languageOf } from "../../../engine/languages.ts";
import type { GgufModel } from "../../../engine/models/gguf.ts";
import type { Native } from "../../../engine/native.ts";
import { renderFile } from "../../../engine/render/document.ts";
import { documentsHeading } from "../../../engine/render/prompt.ts";
import type { ChatPieces } from "../../../engine/tokenize/chat-template.ts";
import type { Tokenizer } from "../../../engine/tokenize/tokenizer.ts";
import type { Memory, Model, Selection } from "../../../native/index.d.ts";
import { dense, options } from "../../engine/generate-options.ts";
import { divergenceFrom, likeliest, type Reference, reference } from "../divergence.ts";
import type { SourceFile } from "./corpus.ts";
import type { Item } from "./items.ts";
import type { Outcome } from "./outcomes.ts";
import { type Reading, readingsOf, waysOf } from "./ways.ts";

export interface Bench {
  addon: Native;
  native: Model;
  file: GgufModel;
  tokenizer: Tokenizer;
  chat: ChatPieces;
}

export interface Context {
  /** Which of its length. */
  index: number;
  length: number;
  files: SourceFile[];
  items: Item[];
}

/** Room behind the documents: a question, an answer, the prologue. */
const roomTokens = 1024;

const concat = (...parts: Int32Array[]): Int32Array => Int32Array.from(parts.flatMap((part) => [...part]));

/** A file's tokens as they stand in a memory. */
export function fileTokens(tokenizer: Tokenizer, { path, text }: SourceFile): Int32Array {
  return tokenizer.encode(renderFile(path, text, languageOf(path)).text);
}

/** Measures a context; hands out each outcome when it is there. */
export async function measureContext(
  bench: Bench,
  context: Context,
  how: { reduced: boolean; mass: boolean },
  tell: { say: (line: string) => void; done: (outcome: Outcome) => void },
): Promise<void> {
  const { tokenizer, chat } = bench;
  const documents = [
    concat(chat.prologue, tokenizer.encode(documentsHeading)),
    ...context.files.map((file) => fileTokens(tokenizer, file)),
  ];
  const reads: { reading: Reading; memory: Memory }[] = [];
  for (const reading of readingsOf(context.length, how.reduced))
    reads.push({ reading, memory: await read(bench, documents, reading, tell.say) });
  for (const [index, item] of context.items.entries()) {
    const question = concat(tokenizer.encode(`Question: ${item.question}`), chat.afterQuestion, tokenizer.encode("`"));
    const answer = concat(tokenizer.encode(item.answer), tokenizer.encode("`"));
    let base: Reference[] | undefined;
    for (const { reading, memory } of reads) {
      for (const { selection } of waysOf(reading, context.length, how.reduced)) {
        await ask(memory, documents.length, question);
        const { logits, ...forced } = await force(memory, answer, selection, bench.file.geometry.vocabulary);
        const later = logits.slice(1);
        base ??= later.map(reference);
        const against = base;
        const kl = later.map((row, i) => {
          const to = against[i];
          return to === undefined ? Number.NaN : divergenceFrom(to, row);
        });
        const agreed = later.filter((row, i) => likeliest(row) === likeliest(against[i]?.logProbability ?? row));
        let mass: number | null = null;
        if (how.mass && index % 4 === 0 && selection.pageBudget > 0) {
          await ask(memory, documents.length, question);
          mass = (await force(memory, answer, { ...selection, observe: true }, bench.file.geometry.vocabulary)).mass;
        }
        tell.done({
          context: context.index,
          item: index,
          kind: item.kind,
          readingBudget: reading.readingBudget,
          summary: reading.summary,
          pageBudget: selection.pageBudget,
          vote: selection.vote,
          denseLayers: selection.denseLayers,
          right: forced.right,
          loss: forced.loss,
          tokens: answer.length,
          kl: kl.reduce((all, value) => all + value, 0),
          agreed: agreed.length,
          attended: forced.attended,
          total: forced.total,
          mass,
        });
      }
      memory.truncate(documents.length);
    }
    if (index % 20 === 19) tell.say(`${index + 1} of ${context.items.length} items`);
  }
  for (const { memory } of reads) memory.dispose();
}

async function read(
  { addon, native, file }: Bench,
  documents: readonly Int32Array[],
  { readingBudget, summary }: Reading,
  say: (line: string) => void,
): Promise<Memory> {
  const tokens = documents.reduce((sum, document) => sum + Math.ceil(document.length / 16) * 16, roomTokens);
  const { context } = file.geometry;
  const memory = new addon.Memory(native, {
    pages: tokens / 16,
    summary,
    // As the product stretches: in halves (engine/budget.ts).
    rope:
      tokens <= context
        ? { factor: 1, originalContext: 0 }
        : { factor: stretch(tokens, context), originalContext: context },
  });
  const began = performance.now();
  for (const document of documents)
    for (let from = 0; from < document.length; from += 512) {
      const starts = from === 0 ? Int32Array.of(0) : new Int32Array(0);
      await memory.append(document.slice(from, from + 512), starts, { ...dense, pageBudget: readingBudget });
    }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  say(`${memory.tokens} tokens read in ${seconds} s (reading budget ${readingBudget || "dense"}, ${summary})`);
  return memory;
}

const stretch = (tokens: number, context: number): number => Math.ceil((tokens / context) * 2) / 2;

/** Leaves the memory at the end of the question: computed once, its last token once more for every further way. */
async function ask(memory: Memory, documents: number, question: Int32Array): Promise<void> {
  const held = memory.documents.length > documents;
  if (held) memory.truncate(documents + 1, question.length - 1);
  await memory.append(held ? question.slice(-1) : question, held ? new Int32Array(0) : Int32Array.of(0));
}

interface Forced {
  right: boolean;
  loss: number;
  logits: Float32Array[];
  attended: number;
  total: number;
  mass: number;
}

async function force(memory: Memory, answer: Int32Array, selection: Selection, vocabulary: number): Promise<Forced> {
  const result = await memory.generate(
    options({ maxTokens: answer.length, selection, forced: answer, logits: true }),
    () => {},
  );
  const all = result.logits ?? new Float32Array();
  const logits = [...answer.keys()].map((i) => all.subarray(i * vocabulary, (i + 1) * vocabulary));
  return {
    right: answer.every((token, i) => likeliest(logits[i] ?? new Float32Array()) === token),
    loss: -result.logProbabilities.reduce((sum, value) => sum + value, 0),
    logits,
    attended: result.pagesAttended,
    total: result.pagesTotal,
    mass: result.capturedMass,
  };
}
