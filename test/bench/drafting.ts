// drafting.ts — what guessing tokens from what was read gains (native/decode/draft.h), on a fixed set of prompts.
//
//   npm run bench -- drafting [--model qwen2.5-coder-0.5b] [--context 8192] [--max-tokens 160] [--threads 0] [--json]
//
// Real source is read once (sparsely: reading is not what is measured). Each prompt is then answered with and without guesses, in
// turns, greedily and with the default page budget; the answers must be the same, token for token, or the bench fails. A row per
// kind of prompt and one of all: tokens guessed and accepted, tokens/s each way. Rows: results/drafting.json.

import { parseArgs } from "node:util";
import { languageOf } from "../../engine/languages.ts";
import { readGguf } from "../../engine/models/gguf.ts";
import { native } from "../../engine/native.ts";
import { renderFile } from "../../engine/render/document.ts";
import { documentsHeading, systemPrompt } from "../../engine/render/prompt.ts";
import { readChatTemplate } from "../../engine/tokenize/chat-template.ts";
import { Tokenizer } from "../../engine/tokenize/tokenizer.ts";
import { dense, options } from "../engine/generate-options.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { contextOf, corpus, type SourceFile } from "./quality/corpus.ts";
import { printRow, provenance, type Row, writeRows } from "./results-file.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "qwen2.5-coder-0.5b" },
    context: { type: "string", default: "8192" },
    "max-tokens": { type: "string", default: "160" },
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
  },
});

interface Prompt {
  kind: "copy" | "change" | "explain";
  question: string;
}

/** Twelve prompts about the files of the context: the same ones for the same commit. */
function promptsFor(files: readonly SourceFile[]): Prompt[] {
  const functions = files.flatMap(({ path, text }) => {
    const [, name] = /^export (?:async )?function (\w+)/m.exec(text) ?? [];
    return name === undefined ? [] : [{ path, name }];
  });
  const ask = (kind: Prompt["kind"], from: number, count: number, words: (path: string, name: string) => string) =>
    functions.slice(from, from + count).map(({ path, name }): Prompt => ({ kind, question: words(path, name) }));
  return [
    ...ask("copy", 0, 4, (path, name) => `Show the code of the function \`${name}\` in \`${path}\`.`),
    ...ask(
      "change",
      0,
      4,
      (path, name) => `Rewrite \`${name}\` in \`${path}\` so that its first parameter may be null.`,
    ),
    ...ask("explain", 0, 4, (path, name) => `What does \`${name}\` in \`${path}\` do, and who should call it?`),
  ];
}

interface Tally {
  tokens: number;
  drafted: number;
  accepted: number;
  seconds: { plain: number; guessing: number };
}

const path = await fetchedModel(values.model);
const { geometry, tensors, tokenizer: source, chatTemplate } = await readGguf(path);
const tokenizer = new Tokenizer(source);
const chat = await readChatTemplate({ tokenizer, template: chatTemplate, system: systemPrompt });
const model = await native().openModel({ path, geometry, tensors, threads: Number(values.threads), cpu: "auto" });
const concat = (...parts: Int32Array[]): Int32Array => Int32Array.from(parts.flatMap((part) => [...part]));
const rendered = ({ path: name, text }: SourceFile): Int32Array =>
  tokenizer.encode(renderFile(name, text, languageOf(name)).text);
const { files } = contextOf(corpus(), 0, Number(values.context), (file) => rendered(file).length + 8);
const documents = [concat(chat.prologue, tokenizer.encode(documentsHeading)), ...files.map(rendered)];
const maxTokens = Number(values["max-tokens"]);
const pages = documents.reduce((sum, tokens) => sum + Math.ceil(tokens.length / 16), 0) + maxTokens / 16 + 40;
const memory = new (native().Memory)(model, {
  pages: Math.ceil(pages),
  summary: "mean-spread",
  rope: { factor: 1, originalContext: 0 },
});
for (const tokens of documents)
  for (let from = 0; from < tokens.length; from += 512)
    await memory.append(tokens.slice(from, from + 512), from === 0 ? Int32Array.of(0) : new Int32Array(0), {
      ...dense,
      pageBudget: 2048,
    });

const tallies = new Map<string, Tally>();
for (const { kind, question } of promptsFor(files)) {
  const asked = concat(tokenizer.encode(`Question: ${question}`), chat.afterQuestion);
  const draftFrom = concat(...documents, asked);
  await memory.append(asked, Int32Array.of(0));
  const answer = async (guessing: boolean) => {
    const result = await memory.generate(
      options({
        maxTokens,
        selection: { ...dense, pageBudget: 1024 },
        stopTokens: chat.stopTokens,
        pageMass: true, // as the engine asks
        ...(guessing ? { draftFrom } : {}),
      }),
      () => {},
    );
    memory.truncate(documents.length + 1, asked.length - 1);
    await memory.append(asked.slice(-1), new Int32Array(0));
    return result;
  };
  const runs = [await answer(false), await answer(true), await answer(false), await answer(true)];
  const [plain, guessing] = runs;
  if (plain === undefined || guessing === undefined || `${plain.tokens}` !== `${guessing.tokens}`)
    throw new Error(`Guessing changed the answer to: ${question}`);
  memory.truncate(documents.length);
  for (const key of [kind, "all"]) {
    const tally = tallies.get(key) ?? { tokens: 0, drafted: 0, accepted: 0, seconds: { plain: 0, guessing: 0 } };
    tallies.set(key, tally);
    tally.tokens += plain.tokens.length;
    tally.drafted += guessing.drafted;
    tally.accepted += guessing.accepted;
    // The better of two: a machine may be busy with other work.
    tally.seconds.plain += Math.min(runs[0]?.seconds ?? 0, runs[2]?.seconds ?? 0);
    tally.seconds.guessing += Math.min(runs[1]?.seconds ?? 0, runs[3]?.seconds ?? 0);
  }
  process.stderr.write(
    `${question}: ${plain.tokens.length} tokens, ${guessing.accepted} of ${guessing.drafted} guesses accepted, ` +
      `${plain.seconds.toFixed(2)} s and ${guessing.seconds.toFixed(2)} s\n`,
  );
}
const made = provenance();
const rows = [...tallies].map(([prompts, { tokens, drafted, accepted, seconds }]): Row => {
  const [plain, guessing] = [tokens / seconds.plain, tokens / seconds.guessing];
  return {
    bench: "drafting",
    model: values.model,
    prompts,
    contextTokens: memory.tokens,
    tokens,
    drafted,
    accepted,
    acceptance: drafted === 0 ? null : accepted / drafted,
    tokensPerSecond: guessing,
    withoutGuesses: plain,
    ratio: guessing / plain,
    threads: model.info.threads,
    backend: model.info.backend,
    pageBudget: 1024,
    ...made,
  };
});
memory.dispose();
model.dispose();
for (const row of rows) printRow(row, values.json);
writeRows("drafting", rows);
