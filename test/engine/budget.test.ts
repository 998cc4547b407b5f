// What a budget is chosen from: context, memory, time and the repository; what is refused, and what is proposed instead.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  autoReadingSeconds,
  type Budget,
  type BudgetInput,
  chooseBudget,
  contextFor,
  lookUpBeside,
} from "../../engine/budget.ts";
import { QuireError } from "../../engine/errors.ts";
import { overheadBytes } from "../../engine/models/catalog.ts";

/** A 32k model of 10 kB a token on a machine where nothing is short. */
const roomy: BudgetInput = {
  requested: "auto",
  context: 32_768,
  maxTokens: 512,
  weightBytes: 0,
  bytesPerToken: 10_000,
  availableBytes: 64e9,
  readingSeconds: (tokens) => tokens / 1000,
  repositoryTokens: 10_000_000,
};

const choose = (change: Partial<BudgetInput>): Budget => chooseBudget({ ...roomy, ...change });

function refusal(change: Partial<BudgetInput>): QuireError {
  try {
    choose(change);
  } catch (error) {
    assert.ok(error instanceof QuireError, String(error));
    return error;
  }
  assert.fail("it was not refused");
}

/** The number that an error proposes. */
function proposed(error: QuireError): number {
  const found = /--token-budget (\d+)/.exec(error.nextStep);
  assert.ok(found, error.nextStep);
  return Number(found[1]);
}

describe("a token budget", () => {
  const bounds: [string, Partial<BudgetInput>, RegExp, (budget: Budget) => boolean][] = [
    ["the context", {}, /context of 32,768/, ({ tokens }) => contextFor(tokens, 512) <= 32_768 && tokens > 25_000],
    ["memory", { availableBytes: 600e6 }, /free memory/, ({ tokens }) => contextFor(tokens, 512) * 10_000 <= 100e6],
    [
      "time",
      { readingSeconds: (tokens) => tokens / 10 },
      /5 minutes of reading/,
      ({ tokens }) => tokens === autoReadingSeconds * 10,
    ],
    ["the repository", { repositoryTokens: 4000 }, /all there is/, ({ tokens }) => tokens === 4000],
    ["the least, for a tiny repository", { repositoryTokens: 20 }, /all there is/, ({ tokens }) => tokens === 512],
    ["the least, on a slow machine", { readingSeconds: (tokens) => tokens * 100 }, /./, ({ tokens }) => tokens === 512],
  ];
  for (const [what, change, reason, holds] of bounds) {
    it(`left to Quire is bounded by ${what}, and says so`, () => {
      const budget = choose(change);
      assert.match(budget.reason, reason);
      assert.ok(holds(budget), JSON.stringify(budget));
      assert.equal(budget.ropeFactor, 1);
    });
  }

  const factors: [number, number][] = [
    [512, 1],
    [25_000, 1],
    [30_000, 1.5],
    [39_000, 1.5],
    [50_000, 2],
    [100_000, 4],
  ];
  for (const [requested, factor] of factors) {
    it(`of ${requested} on a context of 32,768 takes YaRN by ${factor}`, () => {
      const budget = choose({ requested });
      assert.equal(budget.tokens, requested);
      assert.equal(budget.ropeFactor, factor);
      assert.equal(budget.reason.includes("YaRN"), factor > 1);
      assert.ok(contextFor(requested, 512) <= 32_768 * factor);
    });
  }

  it("below the least is refused", () => {
    for (const requested of [0, 10, 511]) assert.equal(refusal({ requested }).code, "budget-too-small");
  });

  it("beyond four times the context is refused with the largest that is taken", () => {
    const error = refusal({ requested: 1_000_000 });
    assert.equal(error.code, "budget-too-large");
    const most = proposed(error);
    assert.equal(choose({ requested: most }).ropeFactor, 4);
    assert.equal(refusal({ requested: most + 8 }).code, "budget-too-large");
  });

  it("beyond free memory is refused with one that fits", () => {
    const short = { availableBytes: 600e6 };
    const error = refusal({ ...short, requested: 20_000 });
    assert.equal(error.code, "out-of-memory");
    assert.equal(choose({ ...short, requested: proposed(error) }).tokens, proposed(error));
  });

  it("beyond free memory is refused without a number where none would do", () => {
    for (const requested of ["auto", 2000] as const) {
      const error = refusal({ availableBytes: 400e6, requested });
      assert.equal(error.code, "out-of-memory");
      assert.match(error.nextStep, /smaller model/);
      assert.doesNotMatch(error.nextStep, /--token-budget/);
    }
  });

  it("left to Quire is refused where the context has no room for an answer", () => {
    assert.equal(refusal({ context: 1024 }).code, "budget-too-small");
  });

  it("leaves a fifth for look-ups where reading is fast, a little where it is slow", () => {
    assert.equal(choose({ requested: 20_000 }).lookUpTokens, 4000);
    assert.equal(choose({ requested: 20_000, readingSeconds: (tokens) => tokens / 100 }).lookUpTokens, 2000);
    assert.equal(choose({ requested: 20_000, readingSeconds: (tokens) => tokens }).lookUpTokens, 1024);
    assert.equal(choose({ requested: 1000, readingSeconds: (tokens) => tokens }).lookUpTokens, 200);
  });

  it("gives a long question the room of the look-ups, and refuses one that is longer still", () => {
    const budget = choose({ requested: 10_000 });
    assert.equal(lookUpBeside(budget, 20), 2000);
    assert.equal(lookUpBeside(budget, 1624), 1000);
    assert.equal(lookUpBeside(budget, 2624), 0);
    assert.throws(() => lookUpBeside(budget, 2625), { code: "bad-option", message: /2625 tokens.* room for 2624/ });
  });

  it("either fits context, memory and look-ups, or is refused with words for the user", () => {
    fc.assert(
      fc.property(
        fc.record({
          requested: fc.oneof(fc.constant("auto" as const), fc.nat(500_000)),
          context: fc.integer({ min: 256, max: 200_000 }),
          maxTokens: fc.integer({ min: 1, max: 20_000 }),
          bytesPerToken: fc.integer({ min: 1000, max: 200_000 }),
          availableBytes: fc.integer({ min: 0, max: 64_000_000_000 }),
          speed: fc.integer({ min: 1, max: 100_000 }),
          repositoryTokens: fc.nat(1_000_000),
        }),
        ({ speed, ...change }) => {
          const input = { ...roomy, ...change, readingSeconds: (tokens: number) => tokens / speed };
          let budget: Budget;
          try {
            budget = chooseBudget(input);
          } catch (error) {
            assert.ok(error instanceof QuireError);
            assert.ok(["budget-too-small", "budget-too-large", "out-of-memory"].includes(error.code), error.code);
            assert.ok(error.message.length > 10 && error.nextStep.length > 10);
            assert.doesNotMatch(`${error.message} ${error.nextStep}`, /-\d/, "a negative number is no proposal");
            return;
          }
          const needed = contextFor(budget.tokens, input.maxTokens);
          assert.ok(needed <= input.context * budget.ropeFactor, "context");
          assert.ok(needed * input.bytesPerToken <= input.availableBytes, "memory");
          assert.ok(budget.lookUpTokens >= 0 && budget.tokens + budget.lookUpTokens + input.maxTokens <= needed);
          if (input.requested !== "auto") assert.equal(budget.tokens, input.requested);
        },
      ),
      { numRuns: 500, seed: 5 },
    );
  });
});

describe("the context beside what is read", () => {
  it("has room for a thread where the model's context and memory leave it", () => {
    const { tokens, contextTokens } = choose({ repositoryTokens: 4000 });
    assert.equal(contextTokens, contextFor(tokens, 512) + 8192);
  });
  it("is never larger than the model's, nor than memory", () => {
    assert.equal(choose({}).contextTokens, Math.max(32_768, contextFor(choose({}).tokens, 512)));
    const tight = choose({ requested: 4000, availableBytes: 600e6 });
    assert.ok(tight.contextTokens > contextFor(4000, 512) && tight.contextTokens < contextFor(4000, 512) + 8192);
    assert.ok(tight.contextTokens * 10_000 <= 600e6 - overheadBytes);
  });
});
