import assert from "node:assert/strict";
import { QuireError } from "../../../engine/errors.ts";
import { findModel } from "../../../engine/models/catalog.ts";
import { type ChooseInput, chooseModel, readingSeconds } from "../../../engine/models/choose.ts";

const roomy: ChooseInput = {
  requested: "auto",
  availableBytes: 16e9,
  plannedTokens: 30_000,
  tokensPerSecond: { "qwen2.5-coder-1.5b": 400, "qwen2.5-coder-0.5b": 1_100 },
};

function check(input: Partial<ChooseInput>, name: string, reason: RegExp): void {
  const choice = chooseModel({ ...roomy, ...input });
  assert.equal(choice.kind === "catalog" ? choice.entry.name : choice.path, name);
  assert.match(choice.reason, reason);
}

describe("chooseModel", () => {
  it("takes the better model where it is fast enough, and says how long it takes", () => {
    check({}, "qwen2.5-coder-1.5b", /best that fits.*minutes/);
  });
  it("takes the small one where the better one would read too long", () => {
    check(
      { tokensPerSecond: { "qwen2.5-coder-1.5b": 60 } },
      "qwen2.5-coder-0.5b",
      /1\.5b was not taken: reading 30,000 tokens.*minutes/,
    );
  });
  it("takes the small one where memory is short", () => {
    check({ availableBytes: 1.8e9 }, "qwen2.5-coder-0.5b", /needs 2\.\d GB of memory and 1\.8 GB are free/);
  });
  it("takes the small one where nothing is measured", () => {
    check({ tokensPerSecond: {} }, "qwen2.5-coder-0.5b", /not measured/);
  });
  it("scales a speed that is not measured from one that is", () => {
    check({ tokensPerSecond: { "qwen2.5-coder-0.5b": 20_000 } }, "qwen2.5-coder-1.5b", /best that fits/);
    check({ tokensPerSecond: { "qwen2.5-coder-0.5b": 200 } }, "qwen2.5-coder-0.5b", /1\.5b was not taken/);
  });
  it("says so when even the smallest is too much", () => {
    check({ availableBytes: 1e8 }, "qwen2.5-coder-0.5b", /smallest there is, although it needs/);
  });
  it("obeys a name in any case, and a path", () => {
    check({ requested: "SmolLM2-135M" }, "smollm2-135m", /as asked/);
    check({ requested: "./mine.gguf" }, "./mine.gguf", /as asked/);
    check({ requested: "C:\\m\\mine.gguf" }, "C:\\m\\mine.gguf", /as asked/);
  });
  it("refuses an unknown name with the known ones", () => {
    assert.throws(
      () => chooseModel({ ...roomy, requested: "gpt" }),
      (error) =>
        error instanceof QuireError && error.code === "unknown-model" && error.message.includes("qwen2.5-coder-0.5b"),
    );
  });
  it("estimates that attention makes long readings more than proportionally slower", () => {
    const entry = findModel("qwen2.5-coder-1.5b");
    assert.ok(entry);
    assert.ok(readingSeconds(entry, 32_000, 400) > 2.2 * readingSeconds(entry, 16_000, 400));
    assert.ok(readingSeconds(entry, 1_000, 400) < 1.1 * (1_000 / 400));
  });
});
