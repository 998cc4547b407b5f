// stream-decoder.ts — token ids to text, a few at a time, without ever giving out half a character.
//
// In: token ids as they are sampled. Out: text; bytes of an unfinished UTF-8 character wait for the next token. Bytes that
// can never become a character turn into U+FFFD, as do unfinished ones at the end. Control tokens give no text.

/** Gives the bytes of a token; none for control tokens. */
export type TokenBytes = (id: number) => Uint8Array;

export class StreamDecoder {
  readonly #bytes: TokenBytes;
  // The byte order mark is text like any other here: a file's round trip must be exact.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(bytes: TokenBytes) {
    this.#bytes = bytes;
  }

  /** The text that these tokens complete. */
  push(ids: Iterable<number>): string {
    let text = "";
    for (const id of ids) {
      const bytes = this.#bytes(id);
      if (bytes.length > 0) text += this.#decoder.decode(bytes, { stream: true });
    }
    return text;
  }

  /** What was held back, now that nothing follows. The decoder can be used again. */
  end(): string {
    return this.#decoder.decode();
  }
}
