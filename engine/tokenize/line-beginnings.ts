// line-beginnings.ts — which tokens of a text begin a line, and which of these a line without indentation.
//
// In: token ids. Out: for each 0 for nothing, 1 for a line, 2 for a line that is not indented and closes nothing, as a top-level block
// of code begins (engine/prefill/edits.ts). Pure, but that it remembers the texts of ids.

import type { Tokenizer } from "./tokenizer.ts";

/** Beginnings of the lines of any text of this tokenizer. */
export function lineBeginnings(tokenizer: Pick<Tokenizer, "decode">): (tokens: Int32Array) => Uint8Array {
  const texts = new Map<number, string>();
  const textOf = (id: number): string => {
    const known = texts.get(id);
    if (known !== undefined) return known;
    const text = tokenizer.decode([id]);
    texts.set(id, text);
    return text;
  };
  return (tokens) => {
    const begins = new Uint8Array(tokens.length);
    let lineStarts = true;
    for (const [index, id] of tokens.entries()) {
      const text = textOf(id);
      if (lineStarts) begins[index] = /^[\s)\]}]/.test(text) ? 1 : 2;
      lineStarts = text.endsWith("\n");
    }
    return begins;
  };
}
