// Which files are taken and which are left out, on real folders: hostile names, links, pipes, races, several folders, speed.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { collect } from "../../../engine/collect/collect.ts";
import { realListDeps } from "../../../engine/collect/list-files.ts";
import { QuireError } from "../../../engine/errors.ts";
import { classify, estimateTokens } from "../../../engine/plan/classify.ts";
import { candidates, plan } from "../../../engine/plan/plan.ts";
import {
  collectOne,
  collectThese,
  commit,
  deps,
  everything,
  folderOf,
  git,
  pathsOf,
  reasonsOf,
  repositoryOf,
  writeFiles,
} from "./workspace.ts";

const posix = process.platform !== "win32";
const signal = new AbortController().signal;

async function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof QuireError && error.code === code);
}

describe("collect: what is taken", () => {
  it("takes tracked and new files, and leaves ignored ones to git", async () => {
    const root = repositoryOf({ "a.ts": "1", ".gitignore": "*.log\n", "sub/b.py": "2" });
    writeFiles(root, { "new.ts": "3", "noise.log": "4" });
    const collected = await collectOne(root);
    assert.deepEqual(pathsOf(collected), [".gitignore", "a.ts", "new.ts", "sub/b.py"]);
    assert.deepEqual(collected.listedBy, [{ folder: root, by: "git" }]);
    assert.deepEqual(collected.leftOut, []);
  });

  it("gives size, time and place of a file", async () => {
    const root = repositoryOf({ "a.ts": "twelve bytes" });
    const [file] = (await collectOne(root)).files;
    assert.equal(file?.bytes, 12);
    assert.equal(file?.absolutePath, path.join(root, "a.ts"));
    assert.ok(Math.abs((file?.modifiedMs ?? 0) - Date.now()) < 600_000);
  });

  it("takes a folder inside a repository, with paths relative to it", async () => {
    const root = repositoryOf({ "top.ts": "1", "pkg/src/a.ts": "2", "pkg/b.ts": "3" });
    const collected = await collectOne(path.join(root, "pkg"));
    assert.deepEqual(pathsOf(collected), ["b.ts", "src/a.ts"]);
    assert.equal(collected.listedBy[0]?.by, "git");
    assert.equal(collected.files[1]?.changedMs, 1_600_000_000_000);
  });

  it("honours include and exclude, with reasons", async () => {
    const root = repositoryOf({ "src/a.ts": "1", "src/a.test.ts": "2", "docs/b.md": "3" });
    const collected = await collectOne(root, { include: ["src/**"], exclude: ["*.test.ts"] });
    assert.deepEqual(pathsOf(collected), ["src/a.ts"]);
    assert.deepEqual(reasonsOf(collected), { "src/a.test.ts": "excluded", "docs/b.md": "excluded" });
  });

  it("knows what changed last, from git: old commits, recent ones, new files", async () => {
    const root = repositoryOf({ "old.ts": "1", "recent.ts": "1" }, 1_500_000_000);
    writeFiles(root, { "recent.ts": "2" });
    commit(root, 1_700_000_000);
    writeFiles(root, { "new.ts": "3" });
    const changed = new Map((await collectOne(root)).files.map((file) => [file.path, file.changedMs]));
    assert.equal(changed.get("old.ts"), 1_500_000_000_000);
    assert.equal(changed.get("recent.ts"), 1_700_000_000_000);
    // A new file is being worked on, so it must not count as one of the oldest.
    assert.ok((changed.get("new.ts") ?? 0) > 1_700_000_000_000);
  });

  it("stops when cancelled", async () => {
    const root = repositoryOf({ "a.ts": "1" });
    const stop = new AbortController();
    stop.abort();
    await rejectsWith("cancelled", collect([{ name: "a", root }], everything, stop.signal, deps()));
  });

  it("says that a folder is missing, or is a file", async () => {
    const root = folderOf({ "a.ts": "1" });
    await rejectsWith("no-such-folder", collectOne(path.join(root, "nowhere")));
    await rejectsWith("no-such-folder", collectOne(path.join(root, "a.ts")));
  });

  it("gives nothing for an empty folder and an empty repository", async () => {
    const root = folderOf({});
    assert.deepEqual((await collectOne(root)).files, []);
    git(root, "init", "-q");
    assert.deepEqual((await collectOne(root)).files, []);
  });

  it("finds the root behind a link", async function () {
    if (!posix) this.skip();
    const root = repositoryOf({ "real/a.ts": "1" });
    symlinkSync(path.join(root, "real"), path.join(root, "alias"));
    const collected = await collectOne(path.join(root, "alias"));
    assert.deepEqual(pathsOf(collected), ["a.ts"]);
  });
});

describe("collect: several folders", () => {
  it("begins paths with the folder's name, made unique", async () => {
    const roots = [1, 2, 3].map((n) => repositoryOf({ "x.ts": String(n) }));
    // "a-2" is somebody's own name: the second "a" may not take it.
    const folders = ["a", "a", "a-2"].map((name, index) => ({ name, root: roots[index] ?? "" }));
    const collected = await collect(folders, everything, signal, deps());
    assert.deepEqual(pathsOf(collected), ["a/x.ts", "a-3/x.ts", "a-2/x.ts"]);
  });

  it("reads a file once when one folder lies in the other", async () => {
    const root = repositoryOf({ "sub/a.ts": "1", "b.ts": "2" });
    const folders = [
      { name: "sub", root: path.join(root, "sub") },
      { name: "all", root },
    ];
    const collected = await collect(folders, everything, signal, deps());
    assert.deepEqual(pathsOf(collected), ["sub/a.ts", "all/b.ts"]);
    assert.deepEqual(collected.leftOut, [
      { path: "all/sub/a.ts", reason: "excluded", detail: "the same file as sub/a.ts" },
    ]);
  });
});

describe("collect: hostile names", () => {
  it("takes names with line breaks, quotes, dashes, brackets and blanks", async function () {
    if (!posix) this.skip();
    const names = [
      '-rf "x".ts',
      "a\nb.ts",
      "b`c`.ts",
      "[id].ts",
      "sp ace .ts",
      "tab\t.ts",
      "ümläut.ts",
      "!bang.ts",
      "#hash.ts",
    ];
    const root = repositoryOf(Object.fromEntries(names.map((name) => [name, "x"])));
    assert.deepEqual(new Set(pathsOf(await collectOne(root))), new Set(names));
    assert.deepEqual(new Set(pathsOf(await collectOne(root, { trusted: false }))), new Set(names));
  });

  it("refuses a name that is not UTF-8, and goes on", async function () {
    if (process.platform !== "linux") this.skip();
    const root = repositoryOf({ "a.ts": "1" });
    writeFileSync(Buffer.concat([Buffer.from(`${root}/bad-`), Buffer.from([0xff, 0xfe]), Buffer.from(".ts")]), "x");
    const collected = await collectOne(root);
    assert.deepEqual(pathsOf(collected), ["a.ts"]);
    assert.equal(collected.leftOut[0]?.reason, "unreadable");
    assert.match(collected.leftOut[0]?.detail ?? "", /not UTF-8/);
  });
});

describe("collect: what is no plain file", () => {
  it("refuses links: out of the folder, in it, to nothing, to themselves, to a folder", async function () {
    if (!posix) this.skip();
    const elsewhere = folderOf({ "secret.ts": "x" });
    const root = repositoryOf({ "a.ts": "1", "sub/b.ts": "2" });
    symlinkSync(path.join(elsewhere, "secret.ts"), path.join(root, "out.ts"));
    symlinkSync("a.ts", path.join(root, "in.ts"));
    symlinkSync("gone.ts", path.join(root, "dangling.ts"));
    symlinkSync("loop.ts", path.join(root, "loop.ts"));
    symlinkSync("..", path.join(root, "sub", "up"));
    const collected = await collectOne(root);
    assert.deepEqual(pathsOf(collected), ["a.ts", "sub/b.ts"]);
    assert.deepEqual(reasonsOf(collected), {
      "out.ts": "outside the folder",
      "in.ts": "not a file",
      "dangling.ts": "unreadable",
      "loop.ts": "unreadable",
      "sub/up": "not a file",
    });
  });

  it("does not follow a tracked folder that became a link out of the root", async function () {
    // Bug: lstat of `sub/a.ts` followed the folder, so that a file outside the workspace was read.
    if (!posix) this.skip();
    const elsewhere = folderOf({ "a.ts": "outside" });
    const root = repositoryOf({ "sub/a.ts": "1", "b.ts": "2" });
    rmSync(path.join(root, "sub"), { recursive: true });
    symlinkSync(elsewhere, path.join(root, "sub"));
    const collected = await collectOne(root);
    assert.deepEqual(pathsOf(collected), ["b.ts"]);
    assert.equal(reasonsOf(collected)["sub/a.ts"], "outside the folder");
  });

  it("does not wait for a pipe where a file was", async function () {
    if (!posix) this.skip();
    const root = repositoryOf({ "a.ts": "1", "b.ts": "2" });
    rmSync(path.join(root, "a.ts"));
    execFileSync("mkfifo", [path.join(root, "a.ts")]);
    const collected = await collectOne(root);
    assert.deepEqual(pathsOf(collected), ["b.ts"]);
    assert.deepEqual(reasonsOf(collected), { "a.ts": "not a file" });
    // Ripgrep does not list it at all.
    assert.deepEqual(pathsOf(await collectOne(root, { trusted: false })), ["b.ts"]);
  });

  it("leaves out submodules and repositories within", async () => {
    const inner = repositoryOf({ "inner.ts": "1" });
    const root = repositoryOf({ "a.ts": "1" });
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner, "lib");
    mkdirSync(path.join(root, "nested"));
    git(path.join(root, "nested"), "init", "-q");
    writeFiles(root, { "nested/x.ts": "1" });
    git(path.join(root, "nested"), "add", "-A");
    git(path.join(root, "nested"), "commit", "-q", "-m", "x");
    const collected = await collectOne(root);
    assert.deepEqual(pathsOf(collected), [".gitmodules", "a.ts"]);
    assert.deepEqual(reasonsOf(collected), { lib: "not a file", "nested/": "not a file" });
    // Unless they are asked for.
    const folders = [{ name: "w", root, submodules: true }];
    assert.deepEqual(pathsOf(await collectThese(folders)), [".gitmodules", "a.ts", "lib/inner.ts", "nested/x.ts"]);
  });

  it("reads what git ignores where that is asked for, with git and without", async () => {
    const root = repositoryOf({ ".gitignore": "notes/\n", "a.ts": "1" });
    writeFiles(root, { "notes/plan.md": "# plan" });
    for (const trusted of [true, false]) {
      assert.deepEqual(pathsOf(await collectThese([{ name: "w", root }], { trusted })), [".gitignore", "a.ts"]);
      const all = await collectThese([{ name: "w", root, ignored: true }], { trusted });
      assert.deepEqual(pathsOf(all), [".gitignore", "a.ts", "notes/plan.md"]);
    }
  });

  it("takes the detail that a folder asks for, the last pattern that matches, and leaves out what is off", async () => {
    const root = repositoryOf({ "src/a.ts": "1", "src/b.ts": "2", "docs/c.md": "# c", "d.ts": "3" });
    const details = { "src/": "outline", "b.ts": "full", docs: "off" } as const;
    const collected = await collectThese([{ name: "w", root, details }]);
    const wanted = collected.files.map(({ path, wanted }) => [path, wanted]);
    assert.deepEqual(Object.fromEntries(wanted), { "d.ts": undefined, "src/a.ts": "outline", "src/b.ts": "full" });
    assert.deepEqual(reasonsOf(collected), { "docs/c.md": "excluded" });
  });

  it("says what was deleted, and what may not be read", async () => {
    const root = repositoryOf({ "a.ts": "1", "gone.ts": "2", "locked.ts": "3" });
    rmSync(path.join(root, "gone.ts"));
    const isRoot = !posix || process.getuid?.() === 0;
    if (!isRoot) chmodSync(path.join(root, "locked.ts"), 0);
    const collected = await collectOne(root);
    assert.equal(reasonsOf(collected)["gone.ts"], "unreadable");
    assert.match(collected.leftOut[0]?.detail ?? "", /deleted/);
    assert.deepEqual(pathsOf(collected), isRoot ? ["a.ts", "locked.ts"] : ["a.ts"]);
  });
});

describe("collect: contents", () => {
  it("refuses a 200 MB file without reading it", async () => {
    const root = repositoryOf({ "a.ts": "1" });
    writeFileSync(path.join(root, "huge.ts"), "x");
    truncateSync(path.join(root, "huge.ts"), 200_000_000);
    const collected = await collectOne(root);
    assert.deepEqual(pathsOf(collected), ["a.ts"]);
    assert.deepEqual(collected.leftOut, [
      { path: "huge.ts", reason: "too large", detail: "200000000 bytes, the limit is 1000000" },
    ]);
  });

  it("refuses what is binary, empty, in another encoding, secret, generated, other people's or a lock file", async () => {
    const root = repositoryOf({
      "a.ts": "1",
      "nul.txt": "a\0b",
      "latin1.txt": Buffer.from([0x67, 0x72, 0xfc, 0x6e]),
      "empty.py": "",
      ".env": "TOKEN=1",
      "schema.ts": "// Code generated by tool. DO NOT EDIT.\n",
      "vendor/lib.go": "package lib",
      "yarn.lock": "x",
    });
    const collected = await collectOne(root);
    assert.deepEqual(pathsOf(collected), ["a.ts"]);
    assert.deepEqual(reasonsOf(collected), {
      "nul.txt": "binary",
      "latin1.txt": "wrong encoding",
      "empty.py": "empty",
      ".env": "secret-looking",
      "schema.ts": "generated",
      "vendor/lib.go": "vendored",
      "yarn.lock": "lock file",
    });
  });

  it("takes build/ and target/ where git tracks them, and not where it does not", async () => {
    // Bug: the whole source of coverage.py (coverage/) and of build tools (build/) was refused by its folder's name.
    const root = repositoryOf({ "build/tool.ts": "1", "coverage/report.py": "2", "src/target/cpu.rs": "3" });
    writeFiles(root, { "out/made.ts": "4" });
    const collected = await collectOne(root);
    assert.deepEqual(pathsOf(collected), ["build/tool.ts", "coverage/report.py", "src/target/cpu.rs"]);
    assert.deepEqual(reasonsOf(collected), { "out/made.ts": "generated" });
  });

  it("looks again only at what changed", async () => {
    const root = repositoryOf({ "a.ts": "1", "b.ts": "2" });
    const heads: ReturnType<typeof deps>["heads"] = new Map();
    await collectOne(root, {}, deps({ heads }));
    const before = new Map(heads);
    writeFiles(root, { "b.ts": "b\0" });
    const collected = await collectOne(root, {}, deps({ heads }));
    assert.deepEqual(reasonsOf(collected), { "b.ts": "binary" });
    assert.equal(heads.get(path.join(root, "a.ts")), before.get(path.join(root, "a.ts")));
    assert.notEqual(heads.get(path.join(root, "b.ts")), before.get(path.join(root, "b.ts")));
  });

  it("goes on while files come and go", async () => {
    const names = Array.from({ length: 300 }, (_, index) => `f${index}.ts`);
    const root = repositoryOf(Object.fromEntries(names.map((name) => [name, "x".repeat(100)])));
    const running = collectOne(root);
    for (let index = 0; index < 300; index += 3) {
      renameSync(path.join(root, `f${index}.ts`), path.join(root, `moved${index}.ts`));
      if (index % 30 === 0) await new Promise(setImmediate);
    }
    const collected = await running;
    const accounted = new Set([...pathsOf(collected), ...Object.keys(reasonsOf(collected))]);
    assert.ok(names.every((name) => accounted.has(name) || accounted.has(name.replace("f", "moved"))));
    assert.ok(collected.leftOut.every(({ reason }) => reason === "unreadable"));
  });
});

describe("collect: 10 000 files", function () {
  this.timeout(120_000);

  it("collects and plans them in seconds, again in less", async () => {
    const folders = Array.from({ length: 100 }, (_, index) => `src/m${index}`);
    const body = "export function twice(value: number): number {\n  return value * 2;\n}\n".repeat(30);
    const root = repositoryOf(
      Object.fromEntries(
        folders.flatMap((folder) => Array.from({ length: 100 }, (_, n) => [`${folder}/f${n}.ts`, `// ${n}\n${body}`])),
      ),
    );
    const listMs = timed(() => git(root, "ls-files", "-co", "--exclude-standard", "-z"));
    const readMs = timed(() => {
      for (const folder of folders) for (let n = 0; n < 100; n++) readFileSync(path.join(root, folder, `f${n}.ts`));
    });
    const use = { ...realListDeps, heads: new Map() };
    const run = async (): Promise<number> => {
      const began = performance.now();
      const collected = await collectOne(root, {}, use);
      const inputs = collected.files.map(({ path, bytes, changedMs }) => {
        return { path, class: classify(path), changedMs, tokens: estimateTokens(bytes, path) };
      });
      const planned = plan(candidates(inputs, 100_000), 100_000);
      assert.equal(collected.files.length, 10_000);
      assert.ok(planned.documents.length > 50);
      return performance.now() - began;
    };
    const cold = await run();
    const again = await run();
    const figures = [listMs, readMs, cold, again].map((ms) => `${ms.toFixed(0)} ms`);
    console.log(
      `        ls-files ${figures[0]}, plain read ${figures[1]}, collect and plan ${figures[2]}, again ${figures[3]}`,
    );
    // The aim is 5 s and 1 s on a quiet machine; tests run beside others.
    assert.ok(cold < 15_000, `${cold} ms`);
    assert.ok(again < 5_000, `${again} ms`);
    assert.ok(again < cold, "the cache of beginnings saves nothing");
  });
});

function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}
