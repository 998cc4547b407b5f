// figures.test.ts — numbers, durations and names as people read them.
import assert from "node:assert/strict";
import { bytesText, counted, durationText, openly, percentText, placeText, rateText } from "../../words/figures.ts";

const table: [string, string][] = [
  [counted(1, "file"), "1 file"],
  [counted(0, "file"), "0 files"],
  [counted(12_340, "token"), "12,340 tokens"],
  [percentText(0), "0 %"],
  [percentText(0.0004), "under 0.1 %"],
  [percentText(0.0461), "4.6 %"],
  [percentText(0.364), "36 %"],
  [percentText(0.9999), "99 %"],
  [percentText(1), "100 %"],
  [percentText(Number.NaN), "0 %"],
  [durationText(0.2), "under a second"],
  [durationText(1), "1 second"],
  [durationText(59.7), "1 minute"],
  [durationText(150), "3 minutes"],
  [durationText(3600), "1 hour"],
  [durationText(7500), "2 hours 5 minutes"],
  [durationText(Number.POSITIVE_INFINITY), "an unknown time"],
  [durationText(-1), "an unknown time"],
  [bytesText(12), "12 bytes"],
  [bytesText(98_362_432), "98.4 MB"],
  [bytesText(1_117_320_768), "1.1 GB"],
  [rateText(4.26), "4.3"],
  [rateText(1234.5), "1,235"],
  [placeText("src/a.ts", 12), "src/a.ts:12"],
  [placeText("src/a.ts", 0), "src/a.ts"],
  [openly("größe 文件.ts"), "größe 文件.ts"],
  [openly("a\u202ets.exe"), "a\\u{202e}ts.exe"],
  [openly("a\n\u200bb"), "a\\u{000a}\\u{200b}b"],
];

describe("words of numbers and names", () => {
  for (const [text, expected] of table) it(expected, () => assert.equal(text, expected));
});
