// outline-tail.ts — after the files, one line per file: `path: symbols`. Helped more than anything else that was tried. Pure.
//
// Measured (research/prototype.md, 1.5B): 16 → 18 of 21 right, loss of the gold answer .256 → .131. It is read after the files,
// so each name sees where it is defined; it is cheap to redo after an edit.

import { shownPath } from "./document.ts";

export interface OutlinedFile {
  path: string;
  symbols: readonly { name: string; kind: string; parent?: string }[];
}

/** Shares of the symbols that are tried, until the text fits: all, then top-level ones, then fewer, then paths alone. */
const perFile = [Number.POSITIVE_INFINITY, 24, 12, 6, 3, 0] as const;

const opening = "Outline of the repository, as path: symbols\n";

/**
 * The tail in at most `maxTokens` tokens, as `count` counts them. Methods fall out first, then the later symbols of each file,
 * then symbols altogether, then the last files. Empty when not even one path fits.
 */
export function renderOutlineTail(
  files: readonly OutlinedFile[],
  maxTokens: number,
  count: (text: string) => number,
): string {
  if (files.length === 0) return "";
  const attempts: { methods: boolean; limit: number }[] = [
    { methods: true, limit: Number.POSITIVE_INFINITY },
    ...perFile.map((limit) => ({ methods: false, limit })),
  ];
  for (const { methods, limit } of attempts) {
    const text = tail(files, methods, limit);
    if (count(text) <= maxTokens) return text;
  }
  // Paths alone are too many: as many as fit, found by halving.
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (count(tail(files.slice(0, middle), false, 0)) <= maxTokens) low = middle;
    else high = middle - 1;
  }
  return low === 0 ? "" : tail(files.slice(0, low), false, 0);
}

function tail(files: readonly OutlinedFile[], methods: boolean, limit: number): string {
  const lines = files.map(({ path, symbols }) => {
    const names = symbols.filter((symbol) => methods || symbol.parent === undefined).map((symbol) => symbol.name);
    const shown = [...new Set(names)].slice(0, limit);
    return shown.length === 0 ? shownPath(path) : `${shownPath(path)}: ${shown.join(", ")}`;
  });
  return `${opening}${lines.join("\n")}\n\n`;
}
