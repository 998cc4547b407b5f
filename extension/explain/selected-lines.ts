// selected-lines.ts — which lines, and which of their text, a selection in an editor means as a question. Pure.

export interface Position {
  line: number;
  character: number;
}

export interface SelectedText {
  /** 1-based, both inside. */
  startLine: number;
  endLine: number;
  text: string;
}

/** The engine gets no more of a selection than this; a longer one is a file to ask about. */
const longest = 100_000;

/**
 * Lines 0-based in, 1-based out. Several lines are taken whole, so that their indentation is right; part of one line is taken
 * as it is selected; nothing selected means the line. Undefined: there is nothing but space.
 */
export function selectedText(lines: readonly string[], start: Position, end: Position): SelectedText | undefined {
  let last = end.line;
  // A selection that ends at a line's beginning does not mean that line.
  if (last > start.line && end.character === 0) last--;
  let first = start.line;
  while (first < last && (lines[first] ?? "").trim() === "") first++;
  while (last > first && (lines[last] ?? "").trim() === "") last--;
  const whole = lines.slice(first, last + 1).join("\n");
  const part =
    start.line === end.line && start.character !== end.character
      ? (lines[start.line] ?? "").slice(start.character, end.character)
      : whole;
  if (part.trim() === "") return undefined;
  return { startLine: first + 1, endLine: last + 1, text: part.slice(0, longest) };
}
