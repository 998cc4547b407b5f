// What counts as equal to llama.cpp's logits, on rows small enough to work out by hand.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { compareLogits, type GoldenLogits, goldenLogits } from "./compare-logits.ts";
import { goldenModels } from "./golden-models.ts";

function golden(rows: { ids: number[]; p: number[] }[]): GoldenLogits {
  return {
    madeBy: "this test",
    libraries: [],
    tokens: rows.map(() => 0),
    rows: rows.map(({ ids, p }) => ({ ids, logProbabilities: p.map(Math.log) })),
  };
}
const logitsOf = (...rows: number[][]): Float32Array => Float32Array.from(rows.flat().map(Math.log));

describe("compareLogits", () => {
  it("finds no difference between a distribution and itself, whatever constant is added to its logits", () => {
    const logits = logitsOf([0.5, 0.25, 0.125, 0.125]).map((value) => value + 7);
    const found = compareLogits(golden([{ ids: [0, 1], p: [0.5, 0.25] }]), logits);
    assert.ok(Math.abs(found.meanKl) < 1e-6);
    assert.equal(found.top1Agreement, 1);
  });

  it("gives KL(golden ‖ ours) over the listed tokens and the rest", () => {
    const found = compareLogits(golden([{ ids: [0, 1], p: [0.5, 0.25] }]), logitsOf([0.25, 0.5, 0.125, 0.125]));
    assert.ok(Math.abs(found.meanKl - (0.5 * Math.log(2) - 0.25 * Math.log(2))) < 1e-6);
    assert.equal(found.top1Agreement, 0);
  });

  it("counts mass that went from the listed tokens to the rest", () => {
    const found = compareLogits(golden([{ ids: [0], p: [0.8] }]), logitsOf([0.4, 0.3, 0.3]));
    assert.ok(Math.abs(found.meanKl - (0.8 * Math.log(2) + 0.2 * Math.log(0.2 / 0.6))) < 1e-6);
  });

  it("averages over positions and names the worst", () => {
    const rows = [
      { ids: [1], p: [0.5] },
      { ids: [0], p: [0.5] },
    ];
    const found = compareLogits(golden(rows), logitsOf([0.5, 0.5], [0.1, 0.9]));
    assert.equal(found.worst.position, 1);
    assert.equal(found.worst.golden, 0);
    assert.equal(found.worst.ours, 1);
    assert.ok(Math.abs(found.meanKl - found.worst.kl / 2) < 1e-6);
    assert.equal(found.top1Agreement, 0);
  });

  it("leaves out, of the clear positions, those where the golden first two are within a quarter of a nat", () => {
    const rows = [
      { ids: [0, 1], p: [0.5, 0.45] },
      { ids: [0, 1], p: [0.8, 0.1] },
    ];
    const found = compareLogits(golden(rows), logitsOf([0.45, 0.5, 0.05], [0.8, 0.1, 0.1]));
    assert.equal(found.top1Agreement, 0.5);
    assert.equal(found.top1AgreementClear, 1);
  });

  it("refuses other shapes and NaN", () => {
    assert.throws(() => compareLogits(golden([{ ids: [0], p: [1] }, { ids: [0], p: [1] }]), new Float32Array(3)), RangeError);
    assert.throws(() => compareLogits(golden([{ ids: [5], p: [1] }]), new Float32Array(3)), RangeError);
    assert.throws(() => compareLogits(golden([{ ids: [0], p: [1] }]), Float32Array.of(0, Number.NaN)), RangeError);
  });

  for (const { name } of goldenModels) {
    it(`reads the golden file of ${name}: 512 rows of falling probabilities that sum to at most 1`, () => {
      const file = goldenLogits.parse(JSON.parse(readFileSync(new URL(`${name}.logits.json`, import.meta.url), "utf8")));
      assert.equal(file.tokens.length, 512);
      assert.equal(file.rows.length, 512);
      for (const { ids, logProbabilities } of file.rows) {
        assert.equal(ids.length, logProbabilities.length);
        assert.equal(new Set(ids).size, ids.length);
        assert.ok(logProbabilities.every((value, i) => value <= (logProbabilities[i - 1] ?? 0)));
        assert.ok(logProbabilities.reduce((sum, value) => sum + Math.exp(value), 0) <= 1.001);
      }
    });
  }
});
