// Which state was read: commit, branch, files that differ, and that git runs nothing of the repository's for it.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { type CommitCache, folderStates } from "../../../engine/collect/repository-state.ts";
import { commit, folderOf, git, repositoryOf, writeFiles } from "./workspace.ts";

const signal = new AbortController().signal;

/** The state of one folder whose files were read with these texts. */
async function stateOf(root: string, texts: Record<string, string>, cache: CommitCache = new Map()) {
  const files = Object.entries(texts).map(([name, text]) => ({ absolutePath: path.join(root, name), text }));
  const [state] = await folderStates([{ name: "w", root }], files, cache, signal);
  return state;
}

describe("the state of a repository", () => {
  it("is its commit and branch, with nothing changed right after it", async () => {
    const root = repositoryOf({ "a.ts": "1\n", "sub/b.ts": "2\n" });
    const state = await stateOf(root, { "a.ts": "1\n", "sub/b.ts": "2\n" });
    assert.equal(state?.commit, git(root, "rev-parse", "HEAD").slice(0, 9));
    assert.deepEqual({ ...state, commit: "" }, { folder: "w", commit: "", branch: "main", changedFiles: 0 });
  });

  it("counts files that were read with another text, saved or not, and new ones", async () => {
    const root = repositoryOf({ "a.ts": "1\n", "b.ts": "2\n", "c.ts": "3\n" });
    const state = await stateOf(root, { "a.ts": "1\n", "b.ts": "unsaved\n", "new.ts": "4\n" });
    assert.equal(state?.changedFiles, 2);
  });

  it("does not count what git stores with other line ends, nor what reading decodes", async () => {
    const root = repositoryOf({
      "a.ts": "1\n2\n",
      "b.ts": Buffer.from("\ufeff3\n", "utf8"),
      "c.ts": Buffer.from("\ufeff4\n", "utf16le"),
    });
    assert.equal((await stateOf(root, { "a.ts": "1\r\n2\r\n", "b.ts": "3\n", "c.ts": "4\n" }))?.changedFiles, 0);
  });

  it("follows a commit and a branch, whatever is cached", async () => {
    const root = repositoryOf({ "a.ts": "1\n" });
    const cache: CommitCache = new Map();
    assert.equal((await stateOf(root, { "a.ts": "2\n" }, cache))?.changedFiles, 1);
    git(root, "checkout", "-q", "-b", "next");
    writeFiles(root, { "a.ts": "2\n" });
    commit(root, 1_600_000_001);
    const after = await stateOf(root, { "a.ts": "2\n" }, cache);
    assert.deepEqual([after?.branch, after?.changedFiles], ["next", 0]);
    git(root, "checkout", "-q", "--detach");
    assert.equal((await stateOf(root, { "a.ts": "2\n" }, cache))?.branch, "");
  });

  it("is of a folder within a repository, by paths from there", async () => {
    const root = repositoryOf({ "sub/a.ts": "1\n", "b.ts": "2\n" });
    const files = [{ absolutePath: path.join(root, "sub", "a.ts"), text: "1\n" }];
    const [state] = await folderStates([{ name: "sub", root: path.join(root, "sub") }], files, new Map(), signal);
    assert.deepEqual([state?.folder, state?.changedFiles], ["sub", 0]);
  });

  it("is none without a repository, a commit or git", async () => {
    const plain = folderOf({ "a.ts": "1\n" });
    assert.equal(await stateOf(plain, { "a.ts": "1\n" }), undefined);
    git(plain, "init", "-q");
    assert.equal(await stateOf(plain, { "a.ts": "1\n" }), undefined);
    const root = repositoryOf({ "a.ts": "1\n" });
    const noGit = { git: path.join(root, "no-git") };
    assert.deepEqual(await folderStates([{ name: "w", root }], [], new Map(), signal, noGit), []);
  });

  // Bug guarded: `git status` and `git diff` run the filters that a repository's own configuration names.
  it("runs no filter of the repository's", async () => {
    const root = repositoryOf({ "a.ts": "1\n", ".gitattributes": "*.ts filter=evil\n" });
    const proof = path.join(root, "ran");
    git(root, "config", "filter.evil.clean", `touch ${proof}; cat`);
    writeFiles(root, { "a.ts": "changed\n" });
    assert.equal((await stateOf(root, { "a.ts": "changed\n" }))?.changedFiles, 1);
    assert.ok(!existsSync(proof));
  });
});
