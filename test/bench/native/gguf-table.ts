// gguf-table.ts — what cuda_same_answers needs of a GGUF header, and tokens of source, as numbers separated by blanks.
//
//   npx tsx test/bench/native/gguf-table.ts model.gguf [tokens] > table.txt
//
// The C++ test has no GGUF parser and no tokenizer of its own: the engine's, in TypeScript, read the header and this repository's
// sources, file after file, to that many tokens (1 024).

import { readdirSync, readFileSync } from "node:fs";
import { readGguf } from "../../../engine/models/gguf.ts";
import { Tokenizer } from "../../../engine/tokenize/tokenizer.ts";

const path = process.argv[2];
if (path === undefined) throw new Error("Name a .gguf file.");
const wanted = Number(process.argv[3] ?? 1024);
const sources = ["engine", "native/decode", "native/memory"].flatMap((folder) => {
  const place = new URL(`../../../${folder}/`, import.meta.url);
  const names = readdirSync(place, { recursive: true, encoding: "utf8" }).sort();
  return names.filter((name) => /\.(ts|cpp|h)$/.test(name)).map((name) => new URL(name, place));
});
const file = await readGguf(path);
const tokenizer = await Tokenizer.create(file.tokenizer);
const text = sources.map((source) => readFileSync(source, "utf8")).join("\n");
const tokens = [...tokenizer.encode(text)].slice(0, wanted);
if (tokens.length < wanted) throw new Error(`The sources have ${tokens.length} tokens only.`);
const g = file.geometry;
const lines = [
  [g.architecture, g.layers, g.heads, g.kvHeads, g.headSize, g.embedding, g.feedForward, g.vocabulary, g.context],
  [g.normEpsilon, g.ropeBase, file.tensors.length],
  ...file.tensors.map((t) => [t.name, t.type, t.offset, t.shape.length, ...t.shape]),
  [tokens.length, ...tokens],
];
process.stdout.write(`${lines.map((line) => line.join(" ")).join("\n")}\n`);
