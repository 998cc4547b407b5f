// fences.ts — the blocks of code of an answer: what lies between a fence and the one that closes it, or the answer's end.
//
// In: text as a model wrote it. Out: the blocks in order. Pure; linear in the text's length.

export interface Fence {
  /** [start, end) in UTF-16 units: from the beginning of the opening fence's line to the end of the closing one's. */
  start: number;
  end: number;
  /** The code, without the fences' lines. */
  code: string;
  language: string;
  /** False: the answer was cut off within the block. */
  closed: boolean;
}

/** A run of backticks with another behind it is a span of code. */
const fenceLine = /^ {0,12}(`{3,}(?!.*`)|~{3,})(.{0,200})/;

/** All blocks; one that was cut off is the last. */
export function findFences(text: string): Fence[] {
  const fences: Fence[] = [];
  let open: { start: number; body: number; language: string; fence: string } | undefined;
  let at = 0;
  while (at < text.length) {
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    const [, run, info = ""] = fenceLine.exec(text.slice(at, Math.min(end, at + 220))) ?? [];
    if (open === undefined) {
      if (run !== undefined) open = { start: at, body: end + 1, language: info.trim(), fence: run };
    } else if (run?.startsWith(open.fence) === true && info.trim() === "") {
      const { start, body, language } = open;
      fences.push({ start, end, code: text.slice(body, at), language, closed: true });
      open = undefined;
    }
    at = end + 1;
  }
  if (open === undefined) return fences;
  const { start, body, language } = open;
  return [...fences, { start, end: text.length, code: text.slice(body), language, closed: false }];
}
