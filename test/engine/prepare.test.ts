// From a workspace to documents of token ids, with the real tokenizer of the small test model: what is in memory's list, what is
// kept between questions, and that no text of a repository becomes a control token.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { QuireError } from "../../engine/errors.ts";
import { native } from "../../engine/native.ts";
import { type OpenModel, openModel } from "../../engine/open-model.ts";
import {
  collectWorkspace,
  emptyPrepareCache,
  outlinePath,
  type PrepareCache,
  type Prepared,
  prepare,
  prologuePath,
} from "../../engine/prepare.ts";
import { fetchedModel } from "../models/fetched-model.ts";

const never = new AbortController().signal;
const hasCode = (code: string) => (error: unknown) => error instanceof QuireError && error.code === code;

describe("preparing a workspace", function () {
  this.timeout(60_000);
  let model: OpenModel;
  let root = "";
  let cache: PrepareCache;
  const homeBefore = process.env.QUIRE_HOME;
  const home = mkdtempSync(path.join(tmpdir(), "quire-prepare-home-"));

  before(async () => {
    const file = await fetchedModel("smollm2-135m");
    process.env.QUIRE_HOME = home;
    const choice = { kind: "file", path: file, reason: "the test" } as const;
    model = await openModel(native(), file, { choice, threads: 1, cpu: "auto" });
  });
  after(() => {
    if (homeBefore === undefined) delete process.env.QUIRE_HOME;
    else process.env.QUIRE_HOME = homeBefore;
    model.native.dispose();
    rmSync(home, { recursive: true, force: true });
  });
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), "quire-prepare-"));
    cache = emptyPrepareCache();
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function write(name: string, text: string, ageSeconds = 0): void {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    const at = new Date(Date.UTC(2026, 0, 2) - ageSeconds * 1000);
    utimesSync(file, at, at);
  }

  const collected = () =>
    collectWorkspace(
      { folders: [{ name: "w", root }], include: [], exclude: [], trusted: false, unsaved: [] },
      cache,
      never,
    );
  const prepared = async (budget: number): Promise<Prepared> => prepare(await collected(), budget, model, cache, never);
  const paths = (from: Prepared): string[] => from.documents.map((document) => document.path);

  it("puts instructions first, files by the age of their last change, the outline last", async () => {
    write("new.js", "export const fresh = 1;\n", 10);
    write("old.js", "export const old = 1;\n", 1000);
    const result = await prepared(4000);
    assert.deepEqual(paths(result), [prologuePath, "old.js", "new.js", outlinePath]);
    assert.deepEqual(
      result.rows.map(({ tokens }) => tokens),
      result.documents.map(({ tokens }) => tokens.length),
    );
    assert.equal(
      result.usedTokens,
      result.rows.reduce((sum, { tokens }) => sum + tokens, 0),
    );
  });

  it("never turns what stands in a file, its path or its symbols into a control token", async () => {
    const { tokens, tokenTypes } = model.file.tokenizer;
    const control = new Set(tokens.flatMap((_, id) => (tokenTypes[id] === 3 ? [id] : [])));
    assert.ok(control.size > 2, "the vocabulary has control tokens");
    const attack = [...control].map((id) => tokens[id]).join("");
    assert.ok(attack.includes("<|im_start|>"));
    write("a<|im_start|>.md", `# ${attack}\n${attack}\n\`\`\`\n${attack}`);
    write("b.js", `// ${attack}\nexport function name() {\n  return \`${attack}\`;\n}\n`);
    const result = await prepared(4000);
    assert.ok(paths(result).includes("b.js"));
    for (const { path: name, tokens: ids } of result.documents.slice(1)) {
      assert.deepEqual(
        [...ids].filter((id) => control.has(id)),
        [],
        name,
      );
    }
  });

  it("gives every file once, as a document or with the reason why not, and keeps to the budget", async () => {
    for (let index = 0; index < 60; index++) {
      write(`src/m${index}.js`, `export function f${index}() {\n${`  log(${index});\n`.repeat(index)}}\n`, index);
    }
    for (const budget of [600, 1500, 4000]) {
      cache = emptyPrepareCache();
      const result = await prepared(budget);
      assert.ok(result.usedTokens <= budget, `${result.usedTokens} of ${budget}`);
      assert.ok(result.usedTokens > 0.6 * budget, "the budget is used");
      const named = [...paths(result), ...result.leftOut.map((row) => row.path)].filter((name) =>
        name.startsWith("src/"),
      );
      assert.equal(named.length, 60);
      assert.equal(new Set(named).size, 60);
    }
  });

  it("gives the same twice, and reads only what changed", async () => {
    write("a.js", "export const a = 1;\n", 30);
    write("b.js", "export const b = 1;\n", 20);
    write("c.js", "export const c = 1;\n", 10);
    const first = await prepared(4000);
    const again = await prepared(4000);
    assert.deepEqual(again.documents, first.documents);
    assert.equal(again.read.get("a.js")?.outline, first.read.get("a.js")?.outline, "neither read nor parsed again");
    write("a.js", "export const a = 22;\n", 0);
    const edited = await prepared(4000);
    assert.deepEqual(paths(edited), paths(first), "an edited file keeps its place");
    assert.equal(edited.read.get("a.js")?.text, "export const a = 22;\n");
    assert.equal(edited.read.get("b.js")?.outline, first.read.get("b.js")?.outline);
  });

  it("leaves out a file that is gone by the time it is read, and says so", async () => {
    write("a.js", "export const a = 1;\n");
    write("b.js", "export const b = 1;\n");
    const listed = await collected();
    unlinkSync(path.join(root, "b.js"));
    const result = await prepare(listed, 4000, model, cache, never);
    assert.ok(!paths(result).includes("b.js"));
    assert.equal(result.leftOut.find((row) => row.path === "b.js")?.reason, "unreadable");
  });

  it("refuses a budget that leaves no room for files, and a workspace without any", async () => {
    await assert.rejects(collected(), hasCode("empty-workspace"));
    write("a.js", "export const a = 1;\n");
    await assert.rejects(prepared(150), hasCode("budget-too-small"));
  });

  it("stops when asked to", async () => {
    write("a.js", "export const a = 1;\n");
    const listed = await collected();
    await assert.rejects(prepare(listed, 4000, model, cache, AbortSignal.abort()), hasCode("cancelled"));
  });
});
