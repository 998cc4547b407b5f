// markers.ts — where the marker of a citation goes, and an answer with its markers.
//
// In: an answer and what of it is cited. Out: the same text with markers in it, and nothing else added or taken away. A marker
// is never put into code. Pure.

import type { Mention } from "./mentions.ts";

export interface Marker {
  at: number;
  text: string;
}

/** The marker of a mention, "[1]" or "[?]", with the space or line break that sets it apart. */
export function markerOf(answer: string, { kind, start, end, cutOff }: Mention, label: string): Marker {
  if (kind !== "block") return { at: end, text: ` ${label}` };
  // After a fence nothing may follow on its line.
  if (cutOff !== true) return { at: end, text: `\n${label}` };
  // Nothing closes this block, so whatever is behind it is code: the marker stands before it.
  const before = answer.slice(0, start).trimEnd();
  if (before === "") return { at: 0, text: `${label}\n` };
  const line = before.slice(before.lastIndexOf("\n") + 1);
  const ownLine = /^\s*(?:`{3,}|~{3,})|\|$/.test(line);
  return { at: before.length, text: `${ownLine ? "\n" : " "}${label}` };
}

/** The answer with its markers. */
export function withMarkers(answer: string, markers: readonly Marker[]): string {
  let at = 0;
  let out = "";
  for (const marker of markers.toSorted((a, b) => a.at - b.at)) {
    out += answer.slice(at, marker.at) + marker.text;
    at = marker.at;
  }
  return out + answer.slice(at);
}
