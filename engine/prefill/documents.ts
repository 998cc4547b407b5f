// documents.ts — the documents that a memory is wanted to hold: when two are the same, and how many pages they take. Pure.

export interface WantedDocument {
  path: string;
  tokens: Int32Array;
  /** Made from text that is not on disk: neither it nor what was read after it may be saved. */
  unsaved?: boolean;
}

/** Tokens of a page (native/kernels/ops.h). */
export const pageTokens = 16;

export function pagesFor(tokens: number): number {
  return Math.ceil(tokens / pageTokens);
}

/** Pages of documents that each begin on a page of their own. */
export function pagesOf(documents: readonly WantedDocument[]): number {
  return documents.reduce((sum, document) => sum + pagesFor(document.tokens.length), 0);
}

export function tokensOf(documents: readonly WantedDocument[]): number {
  return documents.reduce((sum, { tokens }) => sum + tokens.length, 0);
}

/** The same path with the same token ids; ids are compared, never hashes alone. */
export function isSameDocument(held: WantedDocument | undefined, wanted: WantedDocument): boolean {
  return (
    held !== undefined &&
    held.path === wanted.path &&
    held.tokens.length === wanted.tokens.length &&
    held.tokens.every((token, index) => token === wanted.tokens[index])
  );
}
