// look-up.test.ts — regions, named files and missing names for a question about a small workspace, by the real ripgrep.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "mocha";
import { QuireError } from "../../../engine/errors.ts";
import { lookUp, realLookupDeps } from "../../../engine/lookup/look-up.ts";
import type { LookupFile, LookupRequest, LookupResult } from "../../../engine/lookup/types.ts";

const sources: Record<string, string> = {
  "engine/plan/plan.ts":
    'import { pageCount } from "./pages.ts";\n\n/** Fills the token budget by value. */\nexport function planFiles(budget: number): number {\n  return pageCount(budget, 3);\n}\n',
  "engine/plan/pages.ts":
    "export const pageSize = 16;\n\nexport function pageCount(tokens: number, spare = 2): number {\n  return Math.ceil(tokens / pageSize) + spare;\n}\n",
  "engine/cli/plan.ts": 'export const planTitle = "The plan";\n',
  "engine/long.ts": `export function veryLong(): void {\n${Array.from({ length: 300 }, (_, i) => `  step(${i});`).join("\n")}\n  finishEverything("needle message");\n}\n`,
  "test/plan.test.ts": "planFiles(1);\nplanFiles(2);\nplanFiles(3);\n",
  "docs/guide.md": "# planFiles\n\nplanFiles fills. planFiles plans.\n",
  'odd/na me\'s "x".py': "def odd_name():\n    return 7\n",
  "shelf.py":
    "from sorted import SortedShelf\n\n\nclass Shelf:\n    books: SortedShelf\n\n    def __delitem__(self, title):\n        raise NotImplementedError(title)\n\n    def __len__(self):\n        return 1\n",
  "sorted.py":
    "class SortedShelf:\n    def first(self):\n        return 1\n\n    def last(self):\n        return 2\n\n    pick = last\n",
  "mode.py":
    "from enum import Enum\n\n\nclass NoMode(Enum):\n    nomode = None\n\n\ndef use():\n        nomode = 3\n        return nomode\n",
  "evict.ts":
    "// evict.ts — which books leave a full shelf: the one that was lent longest ago.\n//\n// Ties go to the older book. Nothing is thrown away.\n\nexport const limit = 3;\n",
  "shelves.ts":
    "export function chooseShelf(): number {\n  const books = 3;\n  const shelf = books;\n  return shelf;\n}\n",
  "readme.md": "How does Library decide which books leave a shelf?\n",
  "crlf.py": "def windows_lines():\r\n    return 'crlf'\r\n",
};

describe("look up", () => {
  let root = "";
  let files: LookupFile[] = [];
  before(() => {
    root = mkdtempSync(join(tmpdir(), "quire-lookup-"));
    files = Object.entries(sources).map(([path, text]) => {
      const absolutePath = join(root, path);
      mkdirSync(dirname(absolutePath), { recursive: true });
      writeFileSync(absolutePath, text);
      return { path, absolutePath, bytes: Buffer.byteLength(text) };
    });
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  function ask(question: string, more: Partial<LookupRequest> = {}): Promise<LookupResult> {
    const request = { question, files, inMemory: new Map(), outlines: new Map(), budgetTokens: 1_000, ...more };
    return lookUp(request, (text) => Math.ceil(text.length / 3), new AbortController().signal);
  }

  it("puts the definition before its uses, tests and documents", async () => {
    const { regions } = await ask("What does planFiles do?");
    assert.equal(regions[0]?.path, "engine/plan/plan.ts");
    assert.match(regions[0]?.text ?? "", /Fills the token budget[\s\S]*planFiles[\s\S]*\}/);
  });

  it("gives lines that stand in the file at the numbers said", async () => {
    for (const region of (await ask("needle message in veryLong, planFiles, odd_name, windows_lines")).regions) {
      const lines = (sources[region.path] ?? "").split(/\r?\n/);
      assert.equal(region.text, lines.slice(region.startLine - 1, region.endLine).join("\n"));
    }
  });

  it("follows a call into another file", async () => {
    const { regions } = await ask("planFiles calls a function of another file: what does it add by default?");
    assert.ok(regions.some(({ path, text }) => path === "engine/plan/pages.ts" && text.includes("spare = 2")));
  });

  it("adds the constant that a region uses", async () => {
    const { regions } = await ask("How does pageCount divide?");
    assert.ok(regions.some(({ text }) => text.includes("pageSize = 16")));
  });

  it("explains how something works by the comment at the head of its file, not by the question itself", async () => {
    const { regions } = await ask("How does Library decide which books leave a shelf?");
    const head = regions.findIndex(({ path, startLine }) => path === "evict.ts" && startLine === 1);
    assert.ok(head === 0 || head === 1, "beside a function whose name has the question's words");
    assert.match(regions[head]?.text ?? "", /^\/\/ evict\.ts[\s\S]*thrown away\./);
    assert.ok(regions.every(({ path }) => path !== "readme.md"));
  });

  it("names what the function raises that a question is about", async () => {
    const { raises } = await ask("Which exception do I get when I delete a title from a `Shelf`?");
    assert.deepEqual(raises, [
      { name: "Shelf.__delitem__", path: "shelf.py", line: 8, text: "raise NotImplementedError(title)" },
    ]);
  });

  it("follows an attribute to its type's member", async () => {
    const outlines = new Map([
      [
        "sorted.py",
        { symbols: [{ name: "SortedShelf", kind: "class", line: 1, endLine: 8, signature: "class SortedShelf:" }] },
      ],
    ]);
    const { regions } = await ask("A Shelf keeps `books`. Of which method is `pick` an alias there?", { outlines });
    assert.ok(regions.some(({ path, text }) => path === "sorted.py" && text.includes("pick = last")));
  });

  it("notes a value's definition, written as the question writes it, and no local variable", async () => {
    const { definitions } = await ask("Which value does `nomode` have?");
    assert.deepEqual(definitions, [{ name: "nomode", path: "mode.py", line: 5, text: "nomode = None" }]);
  });

  it("shows a window of a long function, with the line that names it", async () => {
    const { regions } = await ask('Where is "needle message" used?');
    const region = regions.find(({ path }) => path === "engine/long.ts");
    assert.ok(region !== undefined && region.endLine - region.startLine < 60);
    assert.equal(region.signature?.text, "export function veryLong(): void {");
  });

  it("finds files by a part of their path, and says how much of them memory holds", async () => {
    const inMemory = new Map([
      ["engine/plan/plan.ts", "full"],
      ["engine/cli/plan.ts", "outline"],
    ] as const);
    const named = async (question: string): Promise<string[]> =>
      (await ask(question, { inMemory })).namedFiles.map(({ path, state }) => `${path} ${state}`);
    assert.deepEqual(await named("What is in plan.ts?"), ["engine/cli/plan.ts outline", "engine/plan/plan.ts full"]);
    assert.deepEqual(await named("What is in cli/plan.ts?"), ["engine/cli/plan.ts outline"]);
    assert.deepEqual(await named("What is in `engine/plan/pages`?"), ["engine/plan/pages.ts off"]);
    assert.deepEqual(await named("What is in ./engine/plan/plan.ts:3?"), ["engine/plan/plan.ts full"]);
    assert.deepEqual(await named("What is in ../plan.ts?"), []);
  });

  it("gives the text of a named file that nothing else leads to", async () => {
    const { regions } = await ask("Summarise crlf.py");
    assert.equal(regions[0]?.path, "crlf.py");
    assert.equal(regions[0]?.text, "def windows_lines():\n    return 'crlf'");
  });

  it("adds nothing of files that memory holds in full, unless asked to", async () => {
    const inMemory = new Map(files.map(({ path }) => [path, "full"] as const));
    assert.deepEqual((await ask("What does planFiles do?", { inMemory })).regions, []);
    assert.ok((await ask("What does planFiles do?", { inMemory, includeHeld: true })).regions.length > 0);
  });

  it("says which files and symbols are nowhere, though a part of them may be", async () => {
    const missing = async (question: string): Promise<string[]> => (await ask(question)).missing;
    assert.deepEqual(await missing("What does retryPolicy in engine/retry.ts do?"), ["engine/retry.ts", "retryPolicy"]);
    assert.deepEqual(await missing("What does `planFiles` in plan.ts do on Node.js, e.g. with pageCount()?"), []);
    assert.deepEqual(await missing("How does Session.close_everything() end?"), ["Session.close_everything"]);
    assert.deepEqual(await missing("What does `pageCounts` do?"), ["pageCounts"]);
  });

  it("stays within the budget, and gives nothing for none", async () => {
    for (const budgetTokens of [0, 20, 60, 200]) {
      const { regions } = await ask("planFiles pageCount veryLong odd_name", { budgetTokens });
      assert.ok(regions.reduce((sum, { text }) => sum + Math.ceil(text.length / 3), 0) <= budgetTokens);
    }
  });

  it("gives the same for the same", async () => {
    const question = "Which function fills the budget with pages and files?";
    assert.deepEqual(await ask(question), await ask(question));
  });

  it("takes questions as text, never as patterns or options", async () => {
    for (const question of [
      "`(a+)+$` --pre=touch -e .* [",
      "-rf / --files",
      "\0\n\r",
      "",
      "'".repeat(5_000),
      "a/".repeat(5_000),
      "😀 ünïcödé 日本語",
    ]) {
      assert.ok(Array.isArray((await ask(question)).regions));
    }
  });

  it("finds symbols in a file with spaces and quotes in its path", async () => {
    const { regions } = await ask("What does odd_name return?");
    assert.equal(regions[0]?.path, 'odd/na me\'s "x".py');
  });

  it("passes over a file that is gone", async () => {
    const gone = { path: "gone.ts", absolutePath: join(root, "gone.ts"), bytes: 10 };
    const { regions } = await ask("What is in gone.ts, and planFiles?", { files: [...files, gone] });
    assert.ok(regions.every(({ path }) => path !== "gone.ts") && regions.length > 0);
  });

  it("can be cancelled", async () => {
    const controller = new AbortController();
    controller.abort();
    const request = { question: "planFiles", files, inMemory: new Map(), outlines: new Map(), budgetTokens: 100 };
    await assert.rejects(
      lookUp(request, (text) => text.length, controller.signal),
      (error: unknown) => error instanceof QuireError && error.code === "cancelled",
    );
  });

  it("cuts a search that would give too much, and says so", async () => {
    const { searchFiles, usualLimits } = await import("../../../engine/lookup/search.ts");
    const few = { ...usualLimits, outputBytes: 100 };
    const deps = {
      ...realLookupDeps,
      search: (all: readonly LookupFile[], strings: readonly string[], signal: AbortSignal) =>
        searchFiles(all, strings, signal, few),
    };
    const request = { question: "planFiles", files, inMemory: new Map(), outlines: new Map(), budgetTokens: 100 };
    assert.equal((await lookUp(request, (text) => text.length, new AbortController().signal, deps)).complete, false);
  });
});
