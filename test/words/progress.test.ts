// progress.test.ts — each stage as a sentence; figures and shares where there are any.
import assert from "node:assert/strict";
import type { PanelProgress } from "../../media/messages.ts";
import { progressWords } from "../../words/progress.ts";

describe("progress in words", () => {
  it("of reading: tokens, speed, time left, share", () => {
    const words = progressWords({
      stage: "reading",
      done: 4096,
      total: 11_240,
      tokensPerSecond: 142.4,
      secondsLeft: 50.2,
    });
    assert.equal(words.figures, "4,096 of 11,240 tokens (36 %), 142 tokens/s, about 50 seconds left");
    assert.equal(words.share, 4096 / 11_240);
  });

  it("of a download: bytes, speed, time left", () => {
    const words = progressWords({
      ...{ stage: "fetching", model: "smollm2-135m", done: 50_000_000, total: 98_362_432 },
      ...{ bytesPerSecond: 10_000_000, secondsLeft: 4.8 },
    });
    assert.equal(words.figures, "smollm2-135m: 50.0 MB of 98.4 MB (51 %), 10.0 MB/s, about 5 seconds left");
  });

  it("says no time that is not known, and no share beyond the whole", () => {
    const fetching = {
      stage: "fetching" as const,
      model: "m",
      done: 0,
      total: 0,
      bytesPerSecond: 0,
      secondsLeft: null,
    };
    assert.equal(progressWords(fetching).figures, "m: 0 bytes of 0 bytes (0 %)");
    const over = progressWords({ stage: "reading", done: 30, total: 20, tokensPerSecond: 0, secondsLeft: 0 });
    assert.equal(over.share, 1);
    assert.equal(over.figures, "30 of 20 tokens (100 %)");
  });

  const plain = [
    "waiting",
    "starting",
    "collecting",
    "planning",
    "opening model",
    "tokenizing",
    "looking up",
    "answering",
  ] as const;
  for (const stage of plain)
    it(`of "${stage}" is a sentence without figures`, () => {
      const progress: PanelProgress = { stage };
      const { title, figures, share } = progressWords(progress);
      assert.match(title, /^[A-Z].*\.$/);
      assert.deepEqual([figures, share], ["", undefined]);
    });
});
