// make-tokens.ts — writes test/golden/<model>.tokens.json: llama.cpp's token ids of the corpus, special tokens off, as hashes.
//
//   QUIRE_MODELS=<folder of .gguf files> npx tsx scripts/golden/make-tokens.ts [--compare]
//
// With --compare nothing is written: our ids are compared with llama.cpp's, and the first difference in each segment is shown.
// Installs the peer when it is not there (test/bench/peer/ensure-peer.ts).

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Tokenizer } from "../../engine/tokenize/tokenizer.ts";
import { ensurePeer, peerVersion } from "../../test/bench/peer/ensure-peer.ts";
import { Peer } from "../../test/bench/peer/peer-client.ts";
import { readTokenizerSource } from "../../test/engine/tokenize/gguf-source.ts";
import { corpus, hashIds, hashText, type Segment } from "../../test/golden/corpus.ts";
import { findModel, goldenModels } from "../../test/golden/golden-models.ts";

const checkout = fileURLToPath(new URL("../../", import.meta.url));

async function compare(path: string, segments: Segment[], peer: Peer): Promise<number> {
  const tokenizer = new Tokenizer((await readTokenizerSource(path)).source);
  let differing = 0;
  for (const { name, text } of segments) {
    const theirs = await peer.tokenize(text);
    const ours = tokenizer.encode(text);
    const at = theirs.findIndex((id, i) => id !== ours[i]);
    if (at < 0 && theirs.length === ours.length) continue;
    differing++;
    const from = at < 0 ? Math.min(theirs.length, ours.length) : at;
    const show = (ids: Iterable<number>): string => [...ids].map((id) => `${id}:${JSON.stringify(tokenizer.decode([id]))}`).join(" ");
    const before = Math.max(0, from - 4);
    process.stderr.write(`${name} at token ${from}\n  llama.cpp ${show(theirs.slice(before, from + 6))}\n  ours      ${show(ours.slice(before, from + 6))}\n`);
  }
  return differing;
}

const segments = corpus(checkout);
const comparing = process.argv.includes("--compare");
let differing = 0;
for (const model of goldenModels) {
  const path = findModel(model);
  if (path === null) throw new Error(`${model.files[0]} is not in QUIRE_MODELS.`);
  const peer = new Peer(await ensurePeer());
  await peer.open({ path, contextSize: 64, threads: 1 });
  if (comparing) {
    differing += await compare(path, segments, peer);
  } else {
    const rows = [];
    for (const { name, text } of segments) {
      const ids = await peer.tokenize(text);
      rows.push({ name, textSha256: hashText(text), tokens: ids.length, idsSha256: hashIds(ids) });
    }
    const lines = rows.map((row) => `    ${JSON.stringify(row)}`).join(",\n");
    const file = `${checkout}test/golden/${model.name}.tokens.json`;
    writeFileSync(file, `{\n  "madeBy": "scripts/golden/make-tokens.ts, node-llama-cpp ${peerVersion}",\n  "segments": [\n${lines}\n  ]\n}\n`);
  }
  await peer.dispose();
  process.stderr.write(`${model.name}: ${segments.length} segments\n`);
}
process.stderr.write(comparing ? `${differing} segments differ\n` : "");
process.exitCode = differing === 0 ? 0 : 1;
