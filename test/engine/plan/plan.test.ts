// The plan: who gets in, in which order, what stays as it was; and properties over random workspaces.

import assert from "node:assert/strict";
import fc from "fast-check";
import { QuireError } from "../../../engine/errors.ts";
import type { FileClass } from "../../../engine/plan/classify.ts";
import { candidates, type Plan, type PlanInput, type Previous, plan } from "../../../engine/plan/plan.ts";

function file(path: string, tokens: number, more: Partial<PlanInput> = {}): PlanInput {
  return { path, class: "source", changedMs: 0, tokens, ...more };
}

function shown(planned: Plan): string[] {
  return planned.documents.map(({ path, detail }) => (detail === "full" ? path : `${path} (${detail})`));
}

function inFull(paths: readonly string[]): Previous {
  return new Map(paths.map((path) => [path, "full"]));
}

const resultOf = ({ documents }: Plan): Previous => new Map(documents.map(({ path, detail }) => [path, detail]));

function check(files: PlanInput[], budget: number, previous: string[], expected: string[]): void {
  assert.deepEqual(shown(plan(files, budget, inFull(previous))), expected);
}

describe("plan: who gets in", () => {
  it("takes everything that fits", () => check([file("a", 10), file("b", 20)], 30, [], ["a", "b"]));

  it("takes key documents, source, tests, docs, configuration and data, in this order of value", () => {
    const classes: FileClass[] = ["data", "config", "docs", "test", "source", "key"];
    const files = classes.map((kind) => file(kind, 10, { class: kind }));
    for (let count = 1; count <= 6; count++)
      assert.deepEqual(new Set(shown(plan(files, count * 10))), new Set(classes.toReversed().slice(0, count)));
  });

  it("prefers more whole files to one long one", () =>
    check([file("long", 45), file("a", 30), file("b", 30), file("c", 30)], 100, [], ["a", "b", "c"]));

  it("shows what does not fit as its outline, source only", () => {
    const files = [
      file("a", 60),
      file("big", 300, { outlineTokens: 30 }),
      file("notes", 300, { class: "docs", outlineTokens: 5 }),
    ];
    check(files, 100, [], ["a", "big (outline)"]);
    assert.deepEqual(plan(files, 100).leftOut, [
      { path: "notes", reason: "over budget", detail: "300 tokens in full" },
    ]);
  });

  it("lets a giant in only when nothing else wants the room", () => {
    check([file("giant", 80), file("note", 30, { class: "docs" })], 100, [], ["note"]);
    check([file("giant", 80), file("note", 10, { class: "docs" })], 100, [], ["giant", "note"]);
  });

  it("reads as much of a file as is asked for, whatever its worth", () => {
    const files = [
      file("a", 60),
      file("guide", 70, { class: "docs", wanted: "full" }),
      file("names", 10, { wanted: "name" }),
      file("shape", 10, { class: "test", wanted: "outline", outlineTokens: 3 }),
      file("plain", 10, { wanted: "outline" }),
    ];
    const planned = plan(files, 80);
    assert.deepEqual(new Set(shown(planned)), new Set(["guide", "names (name)", "shape (outline)"]));
    assert.equal(planned.usedTokens, 73);
    const reasons = planned.leftOut.map(({ path, reason }) => [path, reason]);
    assert.deepEqual(Object.fromEntries(reasons), { a: "over budget", plain: "without an outline" });
  });

  it("counts what is asked for in full first, and what is asked for as a name for nothing", () => {
    const files = [
      file("a", 50),
      file("huge", 500, { wanted: "name" }),
      file("b", 60, { wanted: "full", class: "data" }),
    ];
    assert.deepEqual(
      candidates(files, 100).map(({ path }) => path),
      ["b", "a", "huge"],
    );
  });

  it("says that the budget is too small for anything, and what the smallest needs", () => {
    assert.throws(
      () => plan([file("a", 50), file("b", 40)], 30),
      (error) =>
        error instanceof QuireError && error.code === "budget-too-small" && /smallest has 40/.test(error.message),
    );
  });

  it("gives an empty plan for no files", () =>
    assert.deepEqual(plan([], 100), { documents: [], leftOut: [], usedTokens: 0 }));
});

describe("plan: order and what stays", () => {
  it("reads first what changes rarely", () =>
    check(
      [file("new", 10, { changedMs: 3 }), file("old", 10, { changedMs: 1 }), file("middle", 10, { changedMs: 2 })],
      100,
      [],
      ["old", "middle", "new"],
    ));

  it("keeps the previous order, whatever changed since", () =>
    check([file("a", 10, { changedMs: 9 }), file("b", 10), file("c", 10)], 100, ["c", "a", "b"], ["c", "a", "b"]));

  it("puts a new file after what was read before, though it is old", () =>
    check([file("a", 10, { changedMs: 9 }), file("new", 10)], 100, ["a"], ["a", "new"]));

  it("does not push out what was read for a new, shorter file of the same class", () => {
    // Bug: every new short file threw the longest document out of memory.
    const files = [file("a", 40), file("b", 45)];
    check(files, 90, [], ["a", "b"]);
    check([...files, file("new", 10)], 90, ["a", "b"], ["a", "b"]);
  });

  it("keeps what was read in full though it grew; what comes last in memory gives way", () => {
    // Bug: a file that was edited and thus the longest changed places with its outline, and memory was read again.
    const outlined = (path: string, tokens: number) => file(path, tokens, { outlineTokens: 5 });
    const previous: Previous = new Map([
      ["a", "full"],
      ["b", "full"],
      ["c", "outline"],
    ]);
    const files = [outlined("a", 47), outlined("b", 40), outlined("c", 41)];
    assert.deepEqual(shown(plan(files, 95, previous)), ["a", "b", "c (outline)"]);
    assert.deepEqual(shown(plan(files, 60, previous)), ["a", "b (outline)", "c (outline)"]);
  });

  it("does push out documents of less value", () => {
    const docs = file("notes", 45, { class: "docs" });
    check([file("a", 45), docs, file("new", 40)], 95, ["a", "notes"], ["a", "new"]);
  });

  it("drops what is gone and keeps the rest in place", () =>
    check([file("a", 10), file("c", 10)], 100, ["a", "b", "c"], ["a", "c"]));
});

describe("candidates", () => {
  it("are the most valuable files up to a little more than the budget", () => {
    const files = Array.from({ length: 100 }, (_, index) => file(`f${index}`, 10));
    assert.equal(candidates(files, 100).length, 17);
  });

  it("leave out what could not fit in any way", () =>
    assert.deepEqual(candidates([file("a", 10), file("huge", 1000)], 100), [file("a", 10)]));

  it("hold what was read before, though many shorter files came", () => {
    const files = [file("read", 50), ...Array.from({ length: 100 }, (_, index) => file(`f${index}`, 10))];
    assert.equal(
      candidates(files, 100).some(({ path }) => path === "read"),
      false,
    );
    assert.equal(candidates(files, 100, inFull(["read"]))[0]?.path, "read");
  });
});

const anyClass = fc.constantFrom<FileClass>("key", "source", "test", "docs", "config", "data");
const anyFile = fc.record({
  class: anyClass,
  changedMs: fc.nat(5),
  tokens: fc.integer({ min: 1, max: 400 }),
  outlineTokens: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
});
const anyFiles = fc.array(anyFile, { minLength: 1, maxLength: 40 }).map((files) =>
  files.map(({ outlineTokens, ...rest }, index): PlanInput => {
    return { path: `f${index}`, ...rest, ...(outlineTokens === undefined ? {} : { outlineTokens }) };
  }),
);
const anyBudget = fc.integer({ min: 1, max: 5000 });

/** A plan, or undefined where not even one file fits. */
function planned(files: PlanInput[], budget: number, previous: string[]): Plan | undefined {
  try {
    return plan(files, budget, inFull(previous));
  } catch (error) {
    assert.ok(error instanceof QuireError && error.code === "budget-too-small");
    assert.ok(files.every(({ tokens }) => tokens > budget));
    return undefined;
  }
}

describe("plan: for any workspace", () => {
  const anyPrevious = fc.shuffledSubarray(Array.from({ length: 50 }, (_, index) => `f${index}`));

  it("is within the budget, and each file is a document or left out, once", () => {
    fc.assert(
      fc.property(anyFiles, anyBudget, anyPrevious, (files, budget, previous) => {
        const result = planned(files, budget, previous);
        if (result === undefined) return;
        const sum = result.documents.reduce((total, { tokens }) => total + tokens, 0);
        assert.equal(result.usedTokens, sum);
        assert.ok(sum <= budget);
        const accounted = [...result.documents, ...result.leftOut].map(({ path }) => path).sort();
        assert.deepEqual(accounted, files.map(({ path }) => path).sort());
        for (const { path, detail, tokens } of result.documents) {
          const input = files.find((candidate) => candidate.path === path);
          assert.equal(tokens, detail === "full" ? input?.tokens : input?.outlineTokens);
        }
      }),
    );
  });

  it("does not depend on the order in which files are listed", () => {
    fc.assert(
      fc.property(anyFiles, anyBudget, anyPrevious, (files, budget, previous) => {
        assert.deepEqual(
          planned(files.toReversed(), budget, previous)?.documents,
          planned(files, budget, previous)?.documents,
        );
      }),
    );
  });

  it("planned again with its own result changes nothing", () => {
    fc.assert(
      fc.property(anyFiles, anyBudget, (files, budget) => {
        const first = planned(files, budget, []);
        if (first === undefined) return;
        const again = plan(files, budget, resultOf(first));
        assert.deepEqual(again.documents, first.documents);
      }),
    );
  });

  // A file beyond half the budget is only in as long as nothing else wants its room.
  it("keeps every document in full and in place when a file of no greater value is added", () => {
    fc.assert(
      fc.property(anyFiles, anyBudget, anyFile, (files, budget, { outlineTokens: _, ...rest }) => {
        fc.pre(files.every(({ tokens }) => tokens <= budget / 2));
        const first = planned(files, budget, []);
        if (first === undefined) return;
        const added: PlanInput = { ...rest, path: "zz-added", class: "data" };
        const next = plan([...files, added], budget, resultOf(first));
        const before = first.documents.filter(({ path }) => path !== "zz-added");
        const kept = next.documents.filter(({ detail, path }) => detail === "full" && path !== "zz-added");
        assert.deepEqual(
          kept.map(({ path }) => path),
          before.filter(({ detail }) => detail === "full").map(({ path }) => path),
        );
      }),
    );
  });

  it("with a larger budget keeps the order of what it keeps", () => {
    fc.assert(
      fc.property(anyFiles, anyBudget, fc.integer({ min: 1, max: 100 }), (files, budget, more) => {
        const first = planned(files, budget, []);
        if (first === undefined) return;
        const previous = first.documents.map(({ path }) => path);
        const next = plan(files, budget + more, resultOf(first)).documents.map(({ path }) => path);
        const kept = next.filter((path) => previous.includes(path));
        assert.deepEqual(
          kept,
          previous.filter((path) => next.includes(path)),
        );
        assert.deepEqual(next.slice(0, kept.length), kept);
      }),
    );
  });
});
