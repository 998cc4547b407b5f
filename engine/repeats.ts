// repeats.ts — hears when an answer has begun to repeat itself without end, as small models do when they decode greedily.
//
// In: the answer's text as it grows. Out: how much of it stands before the repeating began. It changes no text itself.
// It must not mistake code for it: alike lines of code, or many mentions of one file, are no repeating.

/** Copies of a line of prose that are one too many; characters that make a line worth counting. */
const mostLines = 3;
const leastLine = 24;
/** The longest stretch looked for at the end, in characters, how often it must stand there, and how much it must take in all. */
const longestStretch = 480;
const leastCopies = 4;
const leastRepeated = 240;

/** Characters of `text` up to where it began to repeat itself; undefined: it does not. */
export function repeatsFrom(text: string): number | undefined {
  return stretchFrom(text) ?? lineFrom(text);
}

/** The same stretch of text over and over at the very end, whatever it is: kept is its first copy. */
function stretchFrom(text: string): number | undefined {
  for (let length = 1; length <= Math.min(longestStretch, text.length / leastCopies); length++) {
    const repeated = Math.max(length * leastCopies, leastRepeated);
    let at = text.length - 1;
    while (at >= length && text.charCodeAt(at) === text.charCodeAt(at - length)) at--;
    const begins = at - length + 1;
    if (text.length - begins >= repeated && text.slice(begins).trim() !== "") return begins + length;
  }
  return undefined;
}

/** A line of prose, whatever its number in a list, that stands there too often: kept is what comes before its second time. */
function lineFrom(text: string): number | undefined {
  const seen = new Map<string, number[]>();
  let from = 0;
  let isCode = false;
  for (const line of text.split("\n").slice(0, -1)) {
    const begins = from;
    from += line.length + 1;
    if (/^\s*(```|~~~)/.test(line)) isCode = !isCode;
    const said = line.replace(/^\s*(?:\d+[.)]|[-*+])?\s+/, "").trim();
    if (isCode || said.length < leastLine || said.startsWith("|")) continue;
    const places = seen.get(said) ?? [];
    places.push(begins);
    seen.set(said, places);
    if (places.length > mostLines) return places[1];
  }
  return undefined;
}
