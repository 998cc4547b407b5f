// tiny.ts — a small tokenizer for tests: the 256 bytes, a few merges, control and user-defined tokens. Made as a GGUF's is.

import { alphabet } from "../../../engine/tokenize/byte-level.ts";
import { Tokenizer } from "../../../engine/tokenize/tokenizer.ts";
import type { TokenizerSource } from "../../../engine/tokenize/tokenizer-source.ts";

export const control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/** A source with these merges ("l l"), and with fields replaced. */
export function tinySource(
  merges: string[] = ["h e", "l l", "he ll", "hell o", "Ġ w"],
  replaced: Partial<TokenizerSource> = {},
): TokenizerSource {
  const normal = [...alphabet, ...merges.map((merge) => merge.replace(" ", ""))];
  const tokens = [...normal, ...control, "<tool>"];
  return {
    model: "gpt2",
    pre: "qwen2",
    tokens,
    tokenTypes: tokens.map((_, id) => (id < normal.length ? 1 : id < normal.length + control.length ? 3 : 4)),
    merges,
    bosId: normal.length,
    eosId: normal.length + 2,
    addBos: false,
    ...replaced,
  };
}

export function tinyTokenizer(replaced: Partial<TokenizerSource> = {}): Tokenizer {
  return new Tokenizer(tinySource(undefined, replaced));
}

/** Ids as the vocabulary spells them. */
export function spelt(tokenizer: Tokenizer, ids: Int32Array): string[] {
  return [...ids].map((id) => tokenizer.spellingOf(id));
}
