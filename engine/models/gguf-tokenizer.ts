// gguf-tokenizer.ts — the tokenizer tables of a GGUF, held against themselves: lengths, ids, merges.
//
// In: typed metadata. Out: tokens, types and merges as engine/tokenize/ takes them. It encodes nothing.
import { setImmediate } from "node:timers/promises";
import { z } from "zod";
import type { Metadata } from "./gguf-metadata.ts";

export interface GgufTokenizer {
  /** "gpt2": byte-level BPE, the only kind that is supported. */
  model: string;
  /** Name of the rule that splits text into words before merging. */
  pre: string;
  tokens: string[];
  /** 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte; one per token. */
  tokenTypes: number[];
  /** "left right", best first. */
  merges: string[];
  bosId: number | undefined;
  eosId: number | undefined;
  /** Every id that ends an answer, eosId among them, ascending. */
  eotIds: number[];
  addBos: boolean;
}

const controlType = 3;
const byteType = 6;

/** Control tokens that end a turn whatever the file's keys say; llama.cpp has the same list. */
const endings = new Set(
  "<|eot_id|> <|im_end|> <|end|> <|return|> <|call|> <end_of_turn> <|endoftext|> </s> <|eom_id|> <EOT> <|end_of_text|> <end_of_utterance>".split(
    " ",
  ),
);

function checkTokens(metadata: Metadata, tokens: string[], types: number[]): void {
  const { refuse } = metadata;
  for (const [id, token] of tokens.entries()) {
    if (token === "") throw refuse.invalid("tokenizer.ggml.tokens", `token ${id} is empty`);
    if (types[id] === byteType && !/^<0x[0-9A-F]{2}>$/.test(token)) {
      throw refuse.invalid("tokenizer.ggml.tokens", `byte token ${id} is ${JSON.stringify(token.slice(0, 20))}`);
    }
  }
}

/** Merges between two looks at the event loop: a large vocabulary takes a third of a second. */
const mergesAtOnce = 2048;

async function checkMerges(metadata: Metadata, tokens: string[], merges: string[]): Promise<void> {
  const known = new Set(tokens);
  for (const [rank, merge] of merges.entries()) {
    if (rank % mergesAtOnce === 0) await setImmediate();
    const gap = merge.indexOf(" ");
    const left = merge.slice(0, gap);
    const right = merge.slice(gap + 1);
    const problem =
      gap <= 0 || right === "" || right.includes(" ")
        ? "is not two tokens"
        : !known.has(left) || !known.has(right) || !known.has(left + right)
          ? "names a token that does not exist"
          : undefined;
    if (problem === undefined) continue;
    throw metadata.refuse.invalid(
      "tokenizer.ggml.merges",
      `merge ${rank} (${JSON.stringify(merge.slice(0, 40))}) ${problem}`,
    );
  }
}

/** Reads and checks `tokenizer.ggml.*`. */
export async function readTokenizer(metadata: Metadata): Promise<GgufTokenizer> {
  const { refuse } = metadata;
  const key = (name: string): string => `tokenizer.ggml.${name}`;
  const model = metadata.required(key("model"), "string", z.string());
  if (model !== "gpt2") {
    throw refuse.unsupported(key("model"), `${JSON.stringify(model.slice(0, 40))} instead of "gpt2" (byte-level BPE)`);
  }
  const tokens = metadata.array(key("tokens"), "string", z.array(z.string()).nonempty());
  if (tokens === undefined) throw refuse.invalid(key("tokens"), "it is missing");
  await setImmediate();
  const types = metadata.array(key("token_type"), "int32", z.array(z.int().min(1).max(6)));
  if (types === undefined) throw refuse.invalid(key("token_type"), "it is missing");
  await setImmediate();
  const merges = metadata.array(key("merges"), "string", z.array(z.string()));
  if (merges === undefined) throw refuse.invalid(key("merges"), "it is missing");
  await setImmediate();
  if (types.length !== tokens.length) {
    throw refuse.invalid(key("token_type"), `${types.length} types for ${tokens.length} tokens`);
  }
  const scores = metadata.array(key("scores"), "float32", z.array(z.number()));
  if (scores !== undefined && scores.length !== tokens.length) {
    throw refuse.invalid(key("scores"), `${scores.length} scores for ${tokens.length} tokens`);
  }
  checkTokens(metadata, tokens, types);
  await setImmediate();
  await checkMerges(metadata, tokens, merges);

  const id = (name: string): number | undefined => {
    const found = metadata.optional(key(`${name}_token_id`), "uint32", z.int());
    if (found !== undefined && found >= tokens.length) {
      throw refuse.invalid(key(`${name}_token_id`), `${found} is no token of ${tokens.length}`);
    }
    return found;
  };
  for (const name of ["unknown", "padding"]) id(name);
  const eosId = id("eos");
  const ends = new Set([eosId, id("eot"), id("eom")].filter((found) => found !== undefined));
  for (const [index, token] of tokens.entries()) {
    if (types[index] === controlType && endings.has(token)) ends.add(index);
  }
  return {
    model,
    pre: metadata.optional(key("pre"), "string", z.string().max(100)) ?? "default",
    tokens,
    tokenTypes: types,
    merges,
    bosId: id("bos"),
    eosId,
    eotIds: [...ends].sort((a, b) => a - b),
    addBos: metadata.optional(key("add_bos_token"), "bool", z.boolean()) ?? false,
  };
}
