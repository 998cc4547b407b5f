// edits.test.ts — a file changes between two questions: what changed is encoded, nothing else, and the answer's tokens say so.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { type AskResult, type FollowResult, methods } from "../../engine/protocol.ts";
import { Place, sourceText } from "./cli/quire.ts";
import { askOf, EngineProcess } from "./engine-process.ts";

describe("a changed file", function () {
  this.timeout(300_000);
  const place = new Place();
  const names = ["a", "b", "c", "d", "e"];
  let root = "";
  let engine: EngineProcess;

  before(async () => {
    await place.prepare();
    root = place.workspace("w", Object.fromEntries(names.map((name, i) => [`src/${name}.js`, sourceText(i, 4)])));
    engine = await EngineProcess.start(place.home, { QUIRE_MEMORY: "on" });
  });
  after(async () => {
    await engine.dispose();
    place.dispose();
  });

  const ask = (exact = false): Promise<AskResult> => {
    const params = askOf(root, "Hello there, who are you?", { maxTokens: 4 });
    return engine.ask({ ...params, settings: { ...params.settings, exact } }).result;
  };
  const write = (name: string, text: string): void => writeFileSync(path.join(root, "src", `${name}.js`), text);

  it("is encoded in place: its block and the outline's line, not the files behind it", async () => {
    const cold = await ask();
    assert.equal(cold.stats.patchedTokens, 0);
    assert.deepEqual(cold.state, { folders: [], unsavedFiles: 0, reading: "whole" }, "a folder without git");
    const [, first] = cold.documents;
    assert.ok(first !== undefined);
    const name = path.basename(first.path, ".js");
    const text = sourceText(names.indexOf(name), 4);
    write(name, text.replace(/\{\n/, "{\n  const patience = 4711;\n"));
    const edited = await ask();
    const { patchedTokens, prefilledTokens } = edited.stats;
    assert.equal(edited.state.reading, "edited in place");
    assert.ok(patchedTokens > 0 && patchedTokens < 300, `${patchedTokens} tokens in place`);
    assert.ok(prefilledTokens < patchedTokens + 1024, "the rest is the question's own");
    const memory = cold.meter.memoryTokens;
    assert.ok(edited.meter.memoryTokens > memory && edited.meter.memoryTokens < memory + 64);
    assert.deepEqual(
      edited.documents.map((document) => document.path),
      cold.documents.map((document) => document.path),
    );

    const again = await ask();
    assert.equal(again.stats.patchedTokens, patchedTokens, "and never twice");
    write(name, text);
  });

  it("is followed while nobody asks, so that the next question finds it encoded", async () => {
    const before = await ask();
    const [, first] = before.documents;
    const name = path.basename(first?.path ?? "", ".js");
    const text = sourceText(names.indexOf(name), 4);
    write(name, text.replace(/\{\n/, "{\n  const hurry = 17;\n"));
    const { workspace, settings } = askOf(root, "", { maxTokens: 4 });
    const followed = await engine.request<FollowResult>(methods.follow, { id: "f", workspace, settings });
    assert.ok(followed.encodedTokens > 0);
    const after = await ask();
    assert.equal(after.stats.patchedTokens, before.stats.patchedTokens + followed.encodedTokens);
    assert.equal(
      (await engine.request<FollowResult>(methods.follow, { id: "g", workspace, settings })).encodedTokens,
      0,
    );
    const other = { ...settings, exact: true };
    assert.equal(
      (await engine.request<FollowResult>(methods.follow, { id: "h", workspace, settings: other })).encodedTokens,
      0,
    );
    write(name, text);
  });

  it("is read again, with all behind it, where the answer is to be exact", async () => {
    await ask();
    const exact = await ask(true);
    assert.equal(exact.stats.patchedTokens, 0);
    assert.equal(exact.state.reading, "whole");
  });

  it("is told apart from the commit that it differs from, an editor's unsaved text too", async () => {
    const git = (...args: string[]): string => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
    git("init", "-q", "-b", "trunk");
    git("add", ".");
    git("-c", "user.name=A", "-c", "user.email=a@example.invalid", "commit", "-qm", "all");
    const commit = git("rev-parse", "HEAD").slice(0, 9);
    const clean = await ask();
    assert.deepEqual(clean.state.folders, [{ folder: "w", commit, branch: "trunk", changedFiles: 0 }]);

    write("a", sourceText(0, 4).replace("{\n", "{\n  const saved = 1;\n"));
    const params = askOf(root, "Hello there, who are you?", { maxTokens: 4 });
    const text = sourceText(1, 4).replace("{\n", "{\n  const unsaved = 2;\n");
    const unsaved = [{ path: path.join(root, "src", "b.js"), text }];
    const both = await engine.ask({ ...params, workspace: { ...params.workspace, unsaved } }).result;
    assert.deepEqual(
      { ...both.state, folders: both.state.folders.map(({ changedFiles }) => changedFiles) },
      { folders: [2], unsavedFiles: 1, reading: "edited in place" },
    );

    const untrusted = { ...params, workspace: { ...params.workspace, trusted: false } };
    assert.deepEqual((await engine.ask(untrusted).result).state.folders, [], "no git is run there");
  });
});
