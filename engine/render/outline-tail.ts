// outline-tail.ts — after the files, one line per file: `path: symbols`. Helped more than anything else that was tried. Pure.
//
// Measured (research/prototype.md, 1.5B): 16 → 18 of 21 right, loss of the gold answer .256 → .131. It is read after the files,
// so each name sees where it is defined; it is cheap to redo after an edit.

import { shownPath } from "./document.ts";

export interface OutlinedFile {
  path: string;
  symbols: readonly { name: string; kind: string; parent?: string; signature?: string }[];
}

const opening = "Outline of the repository, as path: symbols\n";

/** A file's line begins with so many symbols; more of them only when every file has its line. */
const symbolsAtFirst = 3;
/** No tokenizer makes fewer tokens of identifiers and paths: what is longer need not be counted. */
const mostCharactersPerToken = 12;

/** A path with its first symbols, or one symbol more for it. */
interface Piece {
  file: number;
  symbols: readonly number[];
}

/**
 * The tail in at most `maxTokens` tokens, as `count` counts them; `files` in order of value. First each file gets its line with
 * its most telling symbols, then the files take turns for the rest: what is exported before what is not, functions and classes
 * before types and constants, methods last. Symbols stand in the order of the source. Empty when not even one line fits.
 */
export function renderOutlineTail(
  files: readonly OutlinedFile[],
  maxTokens: number,
  count: (text: string) => number,
): string {
  const pieces = piecesOf(files);
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const text = tail(files, pieces.slice(0, middle));
    if (text.length <= maxTokens * mostCharactersPerToken && count(text) <= maxTokens) low = middle;
    else high = middle - 1;
  }
  return low === 0 ? "" : tail(files, pieces.slice(0, low));
}

/** All pieces, the most valuable first. */
function piecesOf(files: readonly OutlinedFile[]): Piece[] {
  const ranked = files.map(({ symbols }) => rankedSymbols(symbols));
  const lines = ranked.map((indices, file): Piece => ({ file, symbols: indices.slice(0, symbolsAtFirst) }));
  const rest = ranked.flatMap((indices, file) =>
    indices
      .slice(symbolsAtFirst)
      .map((index, turn) => ({ file, index, turn, rank: rankOf(files[file]?.symbols[index]) })),
  );
  rest.sort((a, b) => a.rank - b.rank || a.turn - b.turn || a.file - b.file);
  return [...lines, ...rest.map(({ file, index }): Piece => ({ file, symbols: [index] }))];
}

/** Indices of a file's symbols, each name once, the most telling first. */
function rankedSymbols(symbols: OutlinedFile["symbols"]): number[] {
  const seen = new Set<string>();
  const indices = symbols.flatMap(({ name }, index) => {
    if (seen.has(name)) return [];
    seen.add(name);
    return [index];
  });
  return indices.sort((a, b) => rankOf(symbols[a]) - rankOf(symbols[b]) || a - b);
}

/** 0: what a question would name first; more: what its class or file already stands for. */
function rankOf(symbol: OutlinedFile["symbols"][number] | undefined): number {
  if (symbol === undefined || /^(?:constructor|__init__|__construct)$/.test(symbol.name)) return 6;
  if (symbol.kind === "method") return 5;
  const isExported = /^(?:export|module\.exports|exports|pub|public)\b/.test(symbol.signature ?? "");
  const isNamedForAll = symbol.parent === undefined && /^[A-Z]/.test(symbol.name);
  if (symbol.kind === "constant" && !isExported && !isNamedForAll) return 4;
  const doesSomething = symbol.kind === "function" || symbol.kind === "class";
  return (isExported ? 0 : 2) + (doesSomething ? 0 : 1);
}

function tail(files: readonly OutlinedFile[], pieces: readonly Piece[]): string {
  const shown = new Map<number, number[]>();
  for (const { file, symbols } of pieces) shown.set(file, [...(shown.get(file) ?? []), ...symbols]);
  const lines = [...shown].map(([file, indices]) => {
    const { path = "", symbols = [] } = files[file] ?? {};
    const names = indices.sort((a, b) => a - b).map((index) => oneLine(symbols[index]?.name ?? ""));
    return names.length === 0 ? shownPath(path) : `${shownPath(path)}: ${names.join(", ")}`;
  });
  return `${opening}${lines.join("\n")}\n\n`;
}

function oneLine(name: string): string {
  return name.replace(/\s+/g, " ");
}
