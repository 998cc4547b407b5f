// generate.ts — the answer as it is made: tokens from the native loop become text, and one that goes round in circles is ended.
//
// In: a memory that ends with the question. Out: the answer's text and ids. A joint between tokenize, the memory and repeats.ts.

import type { GenerateResult, Selection } from "../native/index.d.ts";
import type { OpenModel } from "./open-model.ts";
import type { HeldMemory } from "./prefill/held-memory.ts";
import type { AskParams, AskResult } from "./protocol.ts";
import { repeatsFrom } from "./repeats.ts";

export interface Generated {
  /** The native loop's, with the counters of every step that was made. */
  result: GenerateResult;
  /** The answer, as far as it does not repeat itself, and its ids. */
  written: string;
  tokens: Int32Array;
  stop: AskResult["stop"];
  firstTokenMs: number | undefined;
}

/** Decodes until a stop token, a limit, the signal or an endless repeat. Hands text on as it comes. */
export async function generate(
  model: OpenModel,
  memory: HeldMemory,
  { maxTokens, sampling }: Pick<AskParams, "maxTokens" | "sampling">,
  selection: Selection,
  signal: AbortSignal,
  to: { text: (text: string) => void; now: () => number },
): Promise<Generated> {
  const decoder = model.tokenizer.stream();
  let firstTokenMs: number | undefined;
  let streamed = 0;
  let written = "";
  const repeats = new AbortController();
  let kept: number | undefined;
  const write = (text: string): void => {
    if (text === "" || kept !== undefined) return;
    to.text(text);
    written += text;
    kept = repeatsFrom(written);
    if (kept !== undefined) repeats.abort();
  };
  const show = (tokens: Int32Array): void => {
    firstTokenMs ??= to.now();
    streamed += tokens.length;
    write(decoder.push(tokens));
  };
  const result = await memory.generate(
    { maxTokens, sampling, selection, stopTokens: model.chat.stopTokens, pageMass: true },
    AbortSignal.any([signal, repeats.signal]),
    show,
  );
  // Tokens are handed over by a queue of their own; those still in it when the result came are taken from the result.
  if (streamed < result.tokens.length) show(result.tokens.subarray(streamed));
  write(decoder.end());
  if (kept === undefined) {
    const whole = model.tokenizer.decode(result.tokens);
    return { result, written: whole, tokens: result.tokens, stop: result.stop, firstTokenMs };
  }
  const cut = written.slice(0, kept).trimEnd();
  return { result, written: cut, tokens: model.tokenizer.encode(cut), stop: "repeats", firstTokenMs };
}
