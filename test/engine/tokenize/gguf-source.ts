// gguf-source.ts — the tokenizer's metadata of a GGUF on disk, for tests and golden scripts, with `@huggingface/gguf` alone.

import { gguf } from "@huggingface/gguf";
import { z } from "zod";
import type { TokenizerSource } from "../../../engine/tokenize/tokenizer-source.ts";

const id = z.number().int().nonnegative();
const schema = z.object({
  "tokenizer.ggml.model": z.string(),
  "tokenizer.ggml.pre": z.string(),
  "tokenizer.ggml.tokens": z.array(z.string()),
  "tokenizer.ggml.token_type": z.array(z.number()),
  "tokenizer.ggml.merges": z.array(z.string()),
  "tokenizer.ggml.bos_token_id": id.optional(),
  "tokenizer.ggml.eos_token_id": id.optional(),
  "tokenizer.ggml.add_bos_token": z.boolean().optional(),
  "tokenizer.chat_template": z.string().optional(),
});

/** What a tokenizer and a chat template need of this file. */
export async function readTokenizerSource(
  path: string,
): Promise<{ source: TokenizerSource; template: string | undefined }> {
  const { metadata } = await gguf(path, { allowLocalFile: true });
  const found = schema.parse(metadata);
  return {
    source: {
      model: found["tokenizer.ggml.model"],
      pre: found["tokenizer.ggml.pre"],
      tokens: found["tokenizer.ggml.tokens"],
      tokenTypes: found["tokenizer.ggml.token_type"],
      merges: found["tokenizer.ggml.merges"],
      bosId: found["tokenizer.ggml.bos_token_id"],
      eosId: found["tokenizer.ggml.eos_token_id"],
      addBos: found["tokenizer.ggml.add_bos_token"],
    },
    template: found["tokenizer.chat_template"],
  };
}
