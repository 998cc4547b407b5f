// source-text.ts — real source for benches: the native part of this repository, as token ids of any length.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { GgufModel } from "../../engine/models/gguf.ts";
import { Tokenizer } from "../../engine/tokenize/tokenizer.ts";

/** The first `count` tokens; the text begins again where it is too short. */
export function sourceTokens(tokenizer: GgufModel["tokenizer"], count: number): Int32Array {
  const root = fileURLToPath(new URL("../../native/", import.meta.url));
  const files = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(?:cpp|h)$/.test(name))
    .sort();
  const text = files.map((name) => readFileSync(root + name, "utf8")).join("\n");
  const encoded = new Tokenizer(tokenizer).encode(text);
  return Int32Array.from({ length: count }, (_, i) => encoded[i % encoded.length] ?? 0);
}
