// tokenizer-source.ts — a tokenizer as a GGUF describes it: checked against itself, hashed, and written as the tokenizer.json that
// `@huggingface/tokenizers` takes.
//
// In: metadata. Out: values only. It must not encode anything.

import { createHash } from "node:crypto";
import { QuireError } from "../errors.ts";
import { alphabet } from "./byte-level.ts";
import { findPreTokenizer, type PreTokenizer, preTokenizerNames } from "./pre-tokenizers.ts";

/** A tokenizer as GGUF metadata describes it (`tokenizer.ggml.*`). */
export interface TokenizerSource {
  /** `tokenizer.ggml.model`: "gpt2" is byte-level BPE. */
  model: string;
  /** `tokenizer.ggml.pre`. */
  pre: string;
  tokens: readonly string[];
  /** GGUF's token types, one per token: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  tokenTypes: readonly number[];
  /** "left right", best first. */
  merges: readonly string[];
  bosId?: number | undefined;
  eosId?: number | undefined;
  addBos?: boolean | undefined;
}

/** GGUF's token types. */
export const tokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The way of cutting that the source names. Throws "unsupported-model". */
export function checkKind(source: TokenizerSource): PreTokenizer {
  if (source.model !== "gpt2") {
    throw new QuireError(
      "unsupported-model",
      `The tokenizer is of kind "${source.model}"; only byte-level BPE ("gpt2") is supported.`,
      {
        where: "tokenizer.ggml.model",
      },
    );
  }
  const pre = findPreTokenizer(source.pre);
  if (pre === undefined) {
    const known = preTokenizerNames().join(", ");
    throw new QuireError("unsupported-model", `The pre-tokenizer "${source.pre}" is not one of ${known}.`, {
      where: "tokenizer.ggml.pre",
    });
  }
  return pre;
}

/** Throws "invalid-model" where the source contradicts itself. */
export function checkShape(source: TokenizerSource): void {
  const count = source.tokens.length;
  const fail = (message: string, where: string): never => {
    throw new QuireError("invalid-model", message, { where });
  };
  if (count === 0) fail("The vocabulary is empty.", "tokenizer.ggml.tokens");
  if (source.tokenTypes.length !== count)
    fail(`${count} tokens have ${source.tokenTypes.length} types.`, "tokenizer.ggml.token_type");
  for (const [name, id] of [["bos", source.bosId] as const, ["eos", source.eosId] as const]) {
    if (id !== undefined && !(Number.isInteger(id) && id >= 0 && id < count))
      fail(`Token ${id} does not exist.`, `tokenizer.ggml.${name}_token_id`);
  }
  const known = new Set(source.tokens);
  if (known.size !== count) fail("A token appears twice.", "tokenizer.ggml.tokens");
  // Other bytes may be missing (SmolLM2 lacks six control characters): as in llama.cpp they then give no token.
  for (let byte = 0x20; byte < 0x7f; byte++) {
    if (!known.has(alphabet[byte] ?? ""))
      fail(`The vocabulary has no token for "${String.fromCharCode(byte)}".`, "tokenizer.ggml.tokens");
  }
}

/** Throws "invalid-model" for a merge that is not two tokens. Apart from checkShape: each holds a large vocabulary up for a while. */
export function checkMerges(source: TokenizerSource): void {
  for (const merge of source.merges) {
    const gap = merge.indexOf(" ", 1);
    if (gap < 0 || gap === merge.length - 1 || merge.includes(" ", gap + 1))
      throw new QuireError("invalid-model", "A merge is not two tokens.", { where: "tokenizer.ggml.merges" });
  }
}

/** SHA-256, in hex, of everything that decides about ids. */
export function hashSource(source: TokenizerSource): string {
  const hash = createHash("sha256");
  const { model, pre, bosId, eosId, addBos } = source;
  hash.update(JSON.stringify(["quire-tokenizer-1", model, pre, bosId ?? null, eosId ?? null, addBos ?? false]));
  hash.update(JSON.stringify(source.tokens));
  hash.update(JSON.stringify(source.tokenTypes));
  hash.update(JSON.stringify(source.merges));
  return hash.digest("hex");
}

/**
 * The tokenizer.json that the GGUF's metadata stands for: every control and user-defined token is an added one. `filled` false:
 * without vocabulary and merges, which are then put into what is made of it.
 */
export function tokenizerJson(source: TokenizerSource, pre: PreTokenizer, filled = true): object {
  // No prototype: "__proto__" may be a token.
  const vocab: Record<string, number> = Object.create(null);
  for (const [id, token] of filled ? source.tokens.entries() : []) vocab[token] = id;
  const added = source.tokens.flatMap((content, id) => {
    const type = source.tokenTypes[id];
    const special = type === tokenType.control || type === tokenType.unknown;
    if ((!special && type !== tokenType.userDefined) || content === "") return [];
    return [{ id, content, special, normalized: false, single_word: false, lstrip: false, rstrip: false }];
  });
  return {
    version: "1.0",
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: pre.pattern }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      vocab,
      merges: filled ? source.merges : [],
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pre.ignoreMerges,
    },
  };
}
