// recall.test.ts — is the line that a question needs among the regions? Over real sources, nothing of them in memory.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "mocha";
import { lookUp } from "../../../engine/lookup/look-up.ts";
import type { LookupFile, LookupSymbol } from "../../../engine/lookup/types.ts";
import { outline } from "../../../engine/outline/outline.ts";
import { folders, questions } from "./recall-questions.ts";

const modules = join(import.meta.dirname, "../../../node_modules");
const budgetTokens = 3_000;
const least = 0.9;

function filesUnder(folder: string): LookupFile[] {
  return readdirSync(join(modules, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name).replaceAll("\\", "/"))
    .filter((path) => /\.(?:js|cjs|mjs|ts|json)$/.test(path))
    .map((path) => ({ path, absolutePath: join(modules, path), bytes: statSync(join(modules, path)).size }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

describe("recall of the look-up", () => {
  const files = folders.flatMap(filesUnder);

  async function recall(outlines: ReadonlyMap<string, { symbols: readonly LookupSymbol[] }>): Promise<void> {
    const byKind = new Map<string, { found: number; all: number }>();
    const missed: string[] = [];
    for (const { kind, question, path, gold } of questions) {
      assert.ok(readFileSync(join(modules, path), "utf8").includes(gold), `${path} no longer has ${gold}`);
      const request = { question, files, inMemory: new Map(), outlines, budgetTokens };
      const { regions } = await lookUp(request, (text) => Math.ceil(text.length / 3.3), new AbortController().signal);
      const found = regions.some((region) => region.path === path && region.text.includes(gold));
      const counts = byKind.get(kind) ?? { found: 0, all: 0 };
      byKind.set(kind, { found: counts.found + (found ? 1 : 0), all: counts.all + 1 });
      if (!found) missed.push(question);
    }
    const figures = [...byKind].map(([kind, { found, all }]) => `${kind} ${found}/${all}`).join(", ");
    const share = 1 - missed.length / questions.length;
    console.log(`      ${figures}${missed.length === 0 ? "" : `; missed: ${missed.join(" | ")}`}`);
    assert.ok(share >= least, `${(share * 100).toFixed(0)} %: ${missed.join(" | ")}`);
  }

  it("without outlines", async () => recall(new Map()));

  it("with outlines", async () => {
    const outlines = new Map<string, { symbols: readonly LookupSymbol[] }>();
    for (const { path, absolutePath } of files) {
      const found = await outline(path, readFileSync(absolutePath, "utf8"));
      if (found !== undefined) outlines.set(path, found);
    }
    await recall(outlines);
  });
});
