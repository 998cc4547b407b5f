import assert from "node:assert/strict";
import { progressLine, timeLeft } from "../../../extension/talk/progress-line.ts";

describe("the progress line", () => {
  it("counts tokens while reading, with speed and time left", () => {
    assert.equal(
      progressLine({ stage: "reading", done: 1_200, total: 20_000, tokensPerSecond: 96.4, secondsLeft: 195 }),
      "Reading the workspace: 1,200 of 20,000 tokens, 96 tokens/s, about 3 min left…",
    );
    assert.equal(
      progressLine({
        stage: "reading",
        done: 0,
        total: 20_000,
        tokensPerSecond: 0,
        secondsLeft: Number.POSITIVE_INFINITY,
      }),
      "Reading the workspace: 0 of 20,000 tokens…",
    );
  });

  it("counts megabytes of a download, whose end may be unknown", () => {
    const fetching = { stage: "fetching" as const, model: "m", done: 5e6, total: 98e6, bytesPerSecond: 0 };
    assert.equal(progressLine({ ...fetching, secondsLeft: null }), "Downloading m: 5 of 98 MB…");
    assert.equal(progressLine({ ...fetching, secondsLeft: 40 }), "Downloading m: 5 of 98 MB, about 40 s left…");
  });

  it("says times coarsely", () => {
    assert.deepEqual([3, 44, 89, 90, 5_399, 7_200].map(timeLeft), [
      "a few seconds left",
      "about 40 s left",
      "about 90 s left",
      "about 2 min left",
      "about 90 min left",
      "about 2.0 h left",
    ]);
  });
});
