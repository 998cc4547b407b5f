// What clients may send: the ranges at the border, and that nothing is taken that is not asked for.

import assert from "node:assert/strict";
import { askSchema, initializeSchema, mapSchema, modelSchema } from "../../engine/parse-params.ts";
import type { AskParams } from "../../engine/protocol.ts";

const good: AskParams = {
  id: "1",
  workspace: { folders: [{ name: "a", root: "/a" }], include: [], exclude: [], trusted: true, unsaved: [] },
  settings: {
    model: "auto",
    tokenBudget: "auto",
    selection: { pageBudget: 1024, summary: "mean-spread", vote: "softmax", denseLayers: 0 },
    exact: false,
    threads: 0,
    cpu: "auto",
  },
  question: "What?",
  thread: { id: "t", turns: [] },
  fresh: false,
  maxTokens: 64,
  sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, seed: 0 },
};

/** A copy with the field at a dotted path set. */
function withField(path: string, value: unknown): unknown {
  const copy = structuredClone(good) as unknown as Record<string, unknown>;
  const keys = path.split(".");
  let at = copy;
  for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>;
  at[keys.at(-1) ?? ""] = value;
  return copy;
}

describe("parameters of an ask", () => {
  const taken: [string, unknown][] = [
    ["settings.tokenBudget", 0],
    ["settings.tokenBudget", 100_000_000],
    ["settings.selection.pageBudget", "dense"],
    ["settings.selection.pageBudget", 16],
    ["settings.selection.vote", "per-head"],
    ["sampling.temperature", 10],
    ["sampling.topP", 1e-6],
    ["sampling.seed", Number.MAX_SAFE_INTEGER],
    ["question", "x".repeat(200_000)],
    ["maxTokens", 1_000_000],
    ["selection", { path: "/a/b.ts", startLine: 1, endLine: 1, text: "" }],
    ["thread.turns", [{ question: "Q", answer: "" }]],
    ["thread.turns", [{ question: "Q", selection: { path: "/a", startLine: 2, endLine: 3, text: "x" }, answer: "A" }]],
    ["workspace.unsaved", [{ path: "/a/b.ts", text: "" }]],
  ];
  for (const [path, value] of taken) {
    it(`${path} = ${String(value).slice(0, 20)} is taken`, () => {
      assert.equal(askSchema.safeParse(withField(path, value)).success, true);
    });
  }

  const refused: [string, unknown][] = [
    ["id", 1],
    ["workspace.folders", []],
    ["workspace.folders", [{ name: "", root: "/a" }]],
    ["workspace.trusted", "yes"],
    ["workspace.extra", 1],
    ["settings.model", ""],
    ["settings.tokenBudget", -1],
    ["settings.tokenBudget", 1.5],
    ["settings.tokenBudget", 100_000_001],
    ["settings.tokenBudget", Number.NaN],
    ["settings.tokenBudget", "all"],
    ["settings.selection.pageBudget", 15],
    ["settings.selection.pageBudget", Number.POSITIVE_INFINITY],
    ["settings.selection.summary", "median"],
    ["settings.selection.denseLayers", 513],
    ["settings.selection.readingBudget", 255],
    ["settings.selection.readingBudget", "sparse"],
    ["settings.threads", 1025],
    ["settings.binary", "/bin/sh"],
    ["sampling.temperature", -0.1],
    ["sampling.temperature", Number.NaN],
    ["sampling.topK", 0.5],
    ["sampling.topP", 0],
    ["sampling.minP", 1.1],
    ["sampling.repeatPenalty", 0],
    ["sampling.seed", -1],
    ["question", ""],
    ["question", " \n\t "],
    ["question", "x".repeat(200_001)],
    ["maxTokens", 0],
    ["selection", null],
    ["selection", { path: "/a/b.ts", startLine: 0, endLine: 1, text: "" }],
    ["selection", { path: "/a/b.ts", startLine: 3, endLine: 2, text: "" }],
    ["selection", { path: "", startLine: 1, endLine: 1, text: "" }],
    ["thread.id", ""],
    ["thread.turns", [{ question: "Q" }]],
    ["thread", undefined],
    ["fresh", "yes"],
    ["workspace.unsaved", undefined],
    ["workspace.unsaved", [{ path: "", text: "x" }]],
    ["__proto", {}],
  ];
  for (const [path, value] of refused) {
    it(`${path} = ${String(value).slice(0, 20)} is refused`, () => {
      assert.equal(askSchema.safeParse(withField(path, value)).success, false);
    });
  }

  it("of the other requests are held to their shapes too", () => {
    assert.equal(initializeSchema.safeParse({ protocolVersion: 1, client: "x" }).success, true);
    const { id, workspace, settings } = good;
    assert.equal(mapSchema.safeParse({ id, workspace, settings }).success, true);
    assert.equal(mapSchema.safeParse(good).success, false);
    for (const bad of [null, undefined, {}, { name: "" }, { name: 3 }, { name: "a", more: 1 }]) {
      assert.equal(modelSchema.safeParse(bad).success, false);
    }
  });
});
