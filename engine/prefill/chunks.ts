// chunks.ts — documents cut into the pieces of work of one native call each. Pure.

import type { WantedDocument } from "./documents.ts";

/** Tokens of one native call. The weights are read once per chunk, and progress is said once per chunk. */
export const chunkTokens = 512;

export interface Chunk {
  tokens: Int32Array;
  /** Indices of its tokens where a document begins. */
  starts: Int32Array;
  /** Documents whose last token is in this chunk. */
  completed: WantedDocument[];
  /** The document that goes on in the next chunk. */
  unfinished: WantedDocument | undefined;
}

/**
 * Cuts documents into chunks of at most chunkTokens; a chunk may hold several documents or a part of one, which begins and ends at
 * a multiple of `unit` tokens.
 */
export function* chunksOf(documents: readonly WantedDocument[], unit: number): Generator<Chunk> {
  let tokens: number[] = [];
  let starts: number[] = [];
  let completed: WantedDocument[] = [];
  for (const document of documents) {
    for (let from = 0; from < document.tokens.length; ) {
      const room = from + chunkTokens - tokens.length;
      const until = room >= document.tokens.length ? document.tokens.length : room - (room % unit);
      if (from === 0 && until > 0) starts.push(tokens.length);
      for (const token of document.tokens.subarray(from, until)) tokens.push(token);
      from = until;
      const whole = from === document.tokens.length;
      if (whole) completed.push(document);
      if (!whole || tokens.length === chunkTokens) {
        yield {
          tokens: Int32Array.from(tokens),
          starts: Int32Array.from(starts),
          completed,
          unfinished: whole || from === 0 ? undefined : document,
        };
        tokens = [];
        starts = [];
        completed = [];
      }
    }
  }
  if (tokens.length > 0) {
    yield { tokens: Int32Array.from(tokens), starts: Int32Array.from(starts), completed, unfinished: undefined };
  }
}
