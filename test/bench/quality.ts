// quality.ts — what selecting pages costs in answers, paired with dense attention: `npm run bench -- quality`.
//
//   npm run bench -- quality [--models a,b] [--lengths 8192,16384,30000] [--items 200] [--contexts 2] [--reduced] [--threads 0] [--json]
//
// Contexts of real source are read once; questions whose answers a program can check (quality/items.ts) follow, read densely. The
// right answer is then forced, once per way of attending, after a dense and after a sparse reading. Right: every token of the answer
// is the likeliest one. Loss: −ln p a token. KL(dense ‖ way) over the vocabulary, in nats, mean over the tokens that follow the first
// of each answer: the first one's logits are the question's. Mass: attention probability that the chosen pages would have captured,
// of every fourth item. Rows go to results/quality.json. --reduced: one model, 8k and 16k, 60 items, fewer ways: 20 minutes on 2 busy cores.

import { parseArgs } from "node:util";
import { languageOf } from "../../engine/languages.ts";
import { readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import { renderFile } from "../../engine/render/document.ts";
import { documentsHeading, systemPrompt } from "../../engine/render/prompt.ts";
import { readChatTemplate } from "../../engine/tokenize/chat-template.ts";
import { Tokenizer } from "../../engine/tokenize/tokenizer.ts";
import type { Memory, Model, Selection } from "../../native/index.d.ts";
import { dense, options } from "../engine/generate-options.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { divergence, likeliest } from "./divergence.ts";
import { contextOf, corpus, type SourceFile } from "./quality/corpus.ts";
import { makeItems } from "./quality/items.ts";
import { readingsOf, type Way, waysOf } from "./quality/ways.ts";
import { printRow, provenance, type Row, writeRows } from "./results-file.ts";

const { values } = parseArgs({
  options: {
    models: { type: "string" },
    lengths: { type: "string" },
    items: { type: "string" },
    contexts: { type: "string" },
    reduced: { type: "boolean", default: false },
    threads: { type: "string", default: "0" }, // one per core; on a busy machine 1 is faster: no thread waits for another
    json: { type: "boolean", default: false },
  },
});
const models = (values.models ?? (values.reduced ? "qwen2.5-coder-0.5b" : "qwen2.5-coder-1.5b")).split(",");
const lengths = (values.lengths ?? (values.reduced ? "8192,16384" : "8192,16384,30000")).split(",").map(Number);
const itemCount = Number(values.items ?? (values.reduced ? 60 : 200));
const contexts = Number(values.contexts ?? (values.reduced ? 1 : 2));

/** Sums over the items of one way, after one reading. */
interface Tally {
  way: Way;
  readingBudget: number;
  items: number;
  right: number;
  /** Right where dense is wrong, and wrong where dense is right. */
  gained: number;
  lost: number;
  loss: number;
  tokens: number;
  kl: number;
  klTokens: number;
  mass: number;
  massItems: number;
  attended: number;
  total: number;
}

interface Read {
  memory: Memory;
  readingBudget: number;
  summary: "mean-spread" | "min-max";
}

interface Prompt {
  prologue: Int32Array;
  question(text: string): Int32Array;
  documents: Int32Array[];
}

async function readContext(
  model: Model,
  prompt: Prompt,
  read: Omit<Read, "memory">,
  say: (line: string) => void,
): Promise<Read> {
  const documents = [prompt.prologue, ...prompt.documents];
  const pages = documents.reduce((sum, tokens) => sum + Math.ceil(tokens.length / 16), 0) + 64;
  const memory = new (native().Memory)(model, {
    pages,
    summary: read.summary,
    rope: { factor: 1, originalContext: 0 },
  });
  const began = performance.now();
  for (const tokens of documents)
    for (let from = 0; from < tokens.length; from += 512) {
      const chunk = tokens.slice(from, from + 512);
      const starts = from === 0 ? Int32Array.of(0) : new Int32Array(0);
      await memory.append(chunk, starts, { ...dense, pageBudget: read.readingBudget });
    }
  const seconds = (performance.now() - began) / 1000;
  say(
    `${memory.tokens} tokens read in ${seconds.toFixed(0)} s (reading budget ${read.readingBudget || "dense"}, ${read.summary})`,
  );
  return { ...read, memory };
}

interface Outcome {
  right: boolean;
  loss: number;
  logits: Float32Array[];
  attended: number;
  total: number;
  mass: number;
}

/** Forces the answer; the memory ends with the question afterwards, as before. */
async function force(memory: Memory, answer: Int32Array, selection: Selection, vocabulary: number): Promise<Outcome> {
  const question = memory.documents.at(-1)?.tokens ?? 0;
  const result = await memory.generate(
    options({ maxTokens: answer.length, selection, forced: answer, logits: true }),
    () => {},
  );
  const logits = [...answer.keys()].map(
    (i) => result.logits?.subarray(i * vocabulary, (i + 1) * vocabulary) ?? new Float32Array(),
  );
  memory.truncate(memory.documents.length, question);
  return {
    right: answer.every((token, i) => likeliest(logits[i] ?? new Float32Array()) === token),
    loss: -result.logProbabilities.reduce((sum, value) => sum + value, 0),
    logits,
    attended: result.pagesAttended,
    total: result.pagesTotal,
    mass: result.capturedMass,
  };
}

async function run(name: string, length: number): Promise<Row[]> {
  const path = await fetchedModel(name);
  const { geometry, tensors, tokenizer: source, chatTemplate } = await readGguf(path);
  const tokenizer = new Tokenizer(source);
  const chat = await readChatTemplate({ tokenizer, template: chatTemplate, system: systemPrompt });
  const model = await native().openModel({ path, geometry, tensors, threads: Number(values.threads), cpu: "auto" });
  const concat = (...parts: Int32Array[]): Int32Array => Int32Array.from(parts.flatMap((part) => [...part]));
  const rendered = new Map<SourceFile, Int32Array>();
  const tokensOf = (file: SourceFile): Int32Array => {
    const tokens = rendered.get(file) ?? tokenizer.encode(renderFile(file.path, file.text, languageOf(file.path)).text);
    rendered.set(file, tokens);
    return tokens;
  };
  const say = (line: string): void => void process.stderr.write(`${name} ${length}: ${line}\n`);
  const tallies = new Map<string, Tally>();
  const files = corpus();
  let next = 0;
  for (let c = 0; c < contexts; c++) {
    const context = contextOf(files, next, length, (file) => tokensOf(file).length + 8);
    next = context.next;
    const items = makeItems(context.files, Math.ceil(itemCount / contexts));
    const prompt: Prompt = {
      prologue: concat(chat.prologue, tokenizer.encode(documentsHeading)),
      documents: context.files.map(tokensOf),
      question: (text) => concat(tokenizer.encode(`Question: ${text}`), chat.afterQuestion, tokenizer.encode("`")),
    };
    const reads: Read[] = [];
    for (const reading of readingsOf(length, values.reduced))
      reads.push(await readContext(model, prompt, reading, say));
    for (const [index, item] of items.entries()) {
      const answer = concat(tokenizer.encode(item.answer), tokenizer.encode("`"));
      let base: Outcome | undefined;
      for (const { memory, readingBudget, summary } of reads) {
        const documents = memory.documents.length;
        const question = prompt.question(item.question);
        for (const way of waysOf({ readingBudget, summary }, length, values.reduced)) {
          // The state after the question is computed again for each way: only its last token where the rest is there.
          const held = memory.documents.length > documents;
          if (held) memory.truncate(documents + 1, question.length - 1);
          await memory.append(held ? question.slice(-1) : question, held ? new Int32Array(0) : Int32Array.of(0));
          const outcome = await force(memory, answer, way.selection, geometry.vocabulary);
          base ??= outcome;
          const key = `${summary} ${readingBudget} ${JSON.stringify(way)}`;
          const tally: Tally = tallies.get(key) ?? {
            way,
            readingBudget,
            items: 0,
            right: 0,
            gained: 0,
            lost: 0,
            loss: 0,
            tokens: 0,
            kl: 0,
            klTokens: 0,
            mass: 0,
            massItems: 0,
            attended: 0,
            total: 0,
          };
          tallies.set(key, tally);
          tally.items++;
          tally.right += Number(outcome.right);
          tally.gained += Number(outcome.right && !base.right);
          tally.lost += Number(!outcome.right && base.right);
          tally.loss += outcome.loss;
          tally.tokens += answer.length;
          for (let i = 1; i < answer.length; i++) {
            tally.kl += divergence(base.logits[i] ?? new Float32Array(), outcome.logits[i] ?? new Float32Array());
            tally.klTokens++;
          }
          tally.attended += outcome.attended;
          tally.total += outcome.total;
          if (index % 4 === 0 && way.selection.pageBudget > 0) {
            memory.truncate(documents + 1, question.length - 1);
            await memory.append(question.slice(-1), new Int32Array(0));
            tally.mass += (await force(memory, answer, { ...way.selection, observe: true }, geometry.vocabulary)).mass;
            tally.massItems++;
          }
        }
        memory.truncate(documents);
      }
      if (index % 10 === 9) say(`${index + 1} of ${items.length} items of context ${c + 1} of ${contexts}`);
    }
    for (const { memory } of reads) memory.dispose();
  }
  const { backend } = model.info;
  model.dispose();
  const [first] = tallies.values();
  return [...tallies].map(([key, t]) => ({
    bench: "quality",
    model: name,
    tokens: length,
    contexts,
    items: t.items,
    reading: t.readingBudget === 0 ? "dense" : "sparse",
    readingBudget: t.readingBudget,
    decode: t.way.selection.pageBudget === 0 ? "dense" : "sparse",
    pageBudget: t.way.selection.pageBudget,
    summary: key.split(" ")[0],
    vote: t.way.selection.vote,
    denseLayers: t.way.selection.denseLayers,
    right: t.right,
    denseRight: first?.right ?? 0,
    gained: t.gained,
    lost: t.lost,
    loss: t.loss / t.tokens,
    denseLoss: first === undefined ? 0 : first.loss / first.tokens,
    kl: t.kl / t.klTokens,
    capturedMass: t.massItems === 0 ? null : t.mass / t.massItems,
    pagesAttended: t.attended / t.total,
    backend,
  }));
}

const made = provenance();
const rows: Row[] = [];
for (const name of models)
  for (const length of lengths) {
    for (const row of await run(name, length)) {
      rows.push({ ...row, ...made });
      printRow(rows.at(-1) ?? {}, values.json);
    }
    writeRows("quality", rows); // what is done stays if a later length is stopped
  }
