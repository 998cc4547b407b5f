// gguf-table.ts — what cuda_same_answers needs of a GGUF header and of the golden tokens, as numbers separated by blanks.
//
//   npx tsx test/bench/native/gguf-table.ts model.gguf > table.txt
//
// The C++ test has no GGUF parser of its own: the engine's, in TypeScript, reads the header.

import { readFileSync } from "node:fs";
import { readGguf } from "../../../engine/models/gguf.ts";

const golden = new URL("../../golden/smollm2-135m.logits.json", import.meta.url);
const path = process.argv[2];
if (path === undefined) throw new Error("Name a .gguf file.");
const file = await readGguf(path);
const g = file.geometry;
const { tokens } = JSON.parse(readFileSync(golden, "utf8")) as { tokens: number[] };
const lines = [
  [g.architecture, g.layers, g.heads, g.kvHeads, g.headSize, g.embedding, g.feedForward, g.vocabulary, g.context],
  [g.normEpsilon, g.ropeBase, file.tensors.length],
  ...file.tensors.map((t) => [t.name, t.type, t.offset, t.shape.length, ...t.shape]),
  [tokens.length, ...tokens.map((token) => token % g.vocabulary)],
];
process.stdout.write(`${lines.map((line) => line.join(" ")).join("\n")}\n`);
