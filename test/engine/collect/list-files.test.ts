// Listing by git and by ripgrep: when which, and that a repository's configuration makes neither run anything.

import assert from "node:assert/strict";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { lastChanges, listFiles, realListDeps } from "../../../engine/collect/list-files.ts";
import { QuireError } from "../../../engine/errors.ts";
import { commit, folderOf, git, repositoryOf, writeFiles } from "./workspace.ts";

const signal = new AbortController().signal;
const posix = process.platform !== "win32";

describe("listing", () => {
  it("gives the same list by git and by ripgrep", async () => {
    const root = repositoryOf({ "a.ts": "1", ".hidden/b.ts": "2", "sub/c.ts": "3", ".gitignore": "*.log\n" });
    writeFiles(root, { "new.ts": "4", "x.log": "5" });
    const byGit = await listFiles(root, { trusted: true }, signal);
    const byRipgrep = await listFiles(root, { trusted: false }, signal);
    assert.deepEqual(byRipgrep.paths, byGit.paths);
    assert.equal(byGit.by, "git");
    assert.deepEqual(byGit.tracked, new Set([".gitignore", ".hidden/b.ts", "a.ts", "sub/c.ts"]));
    assert.equal(byRipgrep.by, "ripgrep");
    assert.match(byRipgrep.why ?? "", /not trusted/);
  });

  it("lists a file with a merge conflict once", async () => {
    const root = repositoryOf({ "a.ts": "1\n" });
    git(root, "checkout", "-q", "-b", "other");
    writeFiles(root, { "a.ts": "2\n" });
    commit(root, 1_600_000_001);
    git(root, "checkout", "-q", "-");
    writeFiles(root, { "a.ts": "3\n" });
    commit(root, 1_600_000_002);
    assert.throws(() => git(root, "merge", "-q", "other"));
    assert.deepEqual((await listFiles(root, { trusted: true }, signal)).paths, ["a.ts"]);
  });

  it("falls back to ripgrep without a repository, and heeds the folder's own ignore files", async () => {
    const root = folderOf({ "a.ts": "1", ".gitignore": "made/\n", "made/b.ts": "2" });
    const listing = await listFiles(root, { trusted: true }, signal);
    assert.deepEqual(listing.paths, [".gitignore", "a.ts"]);
    assert.equal(listing.by, "ripgrep");
    assert.match(listing.why ?? "", /not in a git repository/);
  });

  it("falls back to ripgrep without git", async () => {
    const root = repositoryOf({ "a.ts": "1" });
    const listing = await listFiles(root, { trusted: true }, signal, {
      ...realListDeps,
      git: path.join(root, "no-git"),
    });
    assert.deepEqual(listing.paths, ["a.ts"]);
    assert.match(listing.why ?? "", /not installed/);
  });

  it("says what is broken about a repository", async () => {
    const root = repositoryOf({ "a.ts": "1" });
    writeFileSync(path.join(root, ".git", "config"), "[broken");
    const listing = await listFiles(root, { trusted: true }, signal);
    assert.deepEqual(listing.paths, ["a.ts"]);
    assert.match(listing.why ?? "", /git failed: .*config/);
  });

  it("reads a folder that the repository around it ignores", async () => {
    // Bug: git lists nothing in an ignored folder, so a question about node_modules/x found an empty workspace.
    const root = repositoryOf({ ".gitignore": "deps/\n" });
    writeFiles(root, { "deps/x/a.ts": "1" });
    for (const trusted of [true, false])
      assert.deepEqual((await listFiles(path.join(root, "deps", "x"), { trusted }, signal)).paths, ["a.ts"]);
  });

  it("says that ripgrep is missing where it is needed", async () => {
    const root = folderOf({ "a.ts": "1" });
    const missing = listFiles(root, { trusted: false }, signal, { ...realListDeps, rg: path.join(root, "no-rg") });
    await assert.rejects(missing, (error) => error instanceof QuireError && error.code === "internal");
  });

  it("ends a listing that is cancelled", async function () {
    if (!posix) this.skip();
    const root = folderOf({ slow: "#!/bin/sh\nexec sleep 30\n" });
    chmodSync(path.join(root, "slow"), 0o755);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    const began = performance.now();
    const listing = listFiles(root, { trusted: true }, stop.signal, { ...realListDeps, git: path.join(root, "slow") });
    await assert.rejects(listing, (error) => error instanceof QuireError && error.code === "cancelled");
    assert.ok(performance.now() - began < 5000);
  });

  it("runs nothing that a repository configures", async function () {
    if (!posix) this.skip();
    const root = repositoryOf({ "a.ts": "1", ".gitattributes": "*.ts diff=x filter=x\n" });
    const trap = path.join(root, ".git", "trap");
    const sprung = path.join(root, ".git", "sprung");
    writeFileSync(trap, `#!/bin/sh\ntouch '${sprung}'\nexit 0\n`);
    chmodSync(trap, 0o755);
    const keys = ["core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "gpg.program", "diff.external"];
    keys.push("diff.x.command", "diff.x.textconv", "filter.x.clean", "filter.x.smudge", "filter.x.process");
    for (const key of keys) git(root, "config", key, trap);
    git(root, "config", "log.showSignature", "true");
    git(root, "config", "core.hooksPath", path.join(root, ".git"));
    writeFiles(root, { "a.ts": "changed" });
    await listFiles(root, { trusted: true }, signal);
    await lastChanges(root, signal);
    assert.equal(existsSync(sprung), false);
    // The trap works: git on its own springs it.
    git(root, "status");
    assert.equal(existsSync(sprung), true);
  });

  it("is not led astray by the caller's GIT_ variables", async () => {
    const root = repositoryOf({ "a.ts": "1" });
    const other = repositoryOf({ "other.ts": "1" });
    process.env.GIT_DIR = path.join(other, ".git");
    try {
      assert.deepEqual((await listFiles(root, { trusted: true }, signal)).paths, ["a.ts"]);
    } finally {
      delete process.env.GIT_DIR;
    }
  });
});

describe("last changes", () => {
  it("gives the latest commit of each path, relative to the folder", async () => {
    const root = repositoryOf({ "pkg/a.ts": "1", "pkg/b.ts": "1", "top.ts": "1" }, 1_500_000_000);
    writeFiles(root, { "pkg/b.ts": "2" });
    commit(root, 1_600_000_000);
    const changes = await lastChanges(path.join(root, "pkg"), signal);
    assert.deepEqual(
      new Map([...changes].sort()),
      new Map([
        ["a.ts", 1.5e12],
        ["b.ts", 1.6e12],
      ]),
    );
  });

  it("keeps names with line breaks and control characters whole", async function () {
    if (!posix) this.skip();
    const names = ["a\nb.ts", "\u00019999999999999", "z.ts"];
    const root = repositoryOf(Object.fromEntries(names.map((name) => [name, "1"])), 1_500_000_000);
    assert.deepEqual(await lastChanges(root, signal), new Map(names.sort().map((name) => [name, 1.5e12])));
  });

  it("is empty without commits", async () => {
    const root = folderOf({ "a.ts": "1" });
    git(root, "init", "-q");
    assert.deepEqual(await lastChanges(root, signal), new Map());
  });
});
