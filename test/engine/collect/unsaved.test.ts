// Unsaved editors in collecting: their text instead of the disk's, and the same refusals.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { CollectOptions } from "../../../engine/collect/types.ts";
import { collectOne } from "./workspace.ts";

describe("files that are in an editor", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), "quire-unsaved-"));
    mkdirSync(path.join(root, "src"));
    writeFileSync(path.join(root, "src", "a.ts"), "export const a = 1;\n");
    writeFileSync(path.join(root, "empty.ts"), "");
    writeFileSync(path.join(root, ".gitignore"), "skipped/\n*.tmp.ts\n!kept.tmp.ts\n");
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const edited = (relative: string, text = "export const edited = 1;\n") => ({ path: path.join(root, relative), text });
  const found = async (unsaved: CollectOptions["unsaved"], trusted = true) => {
    const collected = await collectOne(root, { unsaved, trusted });
    return {
      texts: Object.fromEntries(collected.files.map((file) => [file.path, file.text])),
      refused: Object.fromEntries(collected.leftOut.map((row) => [row.path, row.reason])),
    };
  };

  it("have the editor's text and its size", async () => {
    const { files } = await collectOne(root, { unsaved: [edited("src/a.ts", "größer\n"), edited("empty.ts")] });
    const row = files.find((file) => file.path === "src/a.ts");
    assert.deepEqual([row?.text, row?.bytes], ["größer\n", 9]);
    assert.ok(
      files.some((file) => file.path === "empty.ts" && file.text !== undefined),
      "it is empty on disk only",
    );
    assert.ok(files.every((file) => file.path !== ".gitignore" || file.text === undefined));
  });

  for (const trusted of [true, false]) {
    it(`are read before they exist, ${trusted ? "with git's" : "with the folder's own"} ignore rules`, async () => {
      if (trusted) execFileSync("git", ["init", "-q"], { cwd: root });
      if (trusted) execFileSync("git", ["add", "-A"], { cwd: root });
      const { texts, refused } = await found(
        ["new/deep/b.ts", "skipped/c.ts", "d.tmp.ts", "kept.tmp.ts", ".env", "node_modules/x/e.ts"].map((file) =>
          edited(file),
        ),
        trusted,
      );
      assert.ok("new/deep/b.ts" in texts && "kept.tmp.ts" in texts, Object.keys(texts).join());
      for (const file of ["skipped/c.ts", "d.tmp.ts", ".env", "node_modules/x/e.ts"]) assert.ok(!(file in texts), file);
      assert.equal(refused[".env"], "secret-looking");
      assert.equal(refused["node_modules/x/e.ts"], "vendored");
    });
  }

  it("are refused for what their text is", async () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${"A".repeat(64)}\n`;
    const { refused } = await found([
      edited("src/a.ts", key),
      edited("large.ts", "x = 1;\n".repeat(200_000)),
      edited("nothing.ts", ""),
    ]);
    assert.deepEqual(
      [refused["src/a.ts"], refused["large.ts"], refused["nothing.ts"]],
      ["secret-looking", "too large", "empty"],
    );
  });

  it("stay out where the disk's file is ignored, or outside of the folder", async () => {
    mkdirSync(path.join(root, "skipped"));
    writeFileSync(path.join(root, "skipped", "old.ts"), "1");
    const { texts } = await found([edited("skipped/old.ts"), edited("../outside.ts")], false);
    assert.ok(!Object.keys(texts).some((file) => /old|outside/.test(file)));
  });

  it("are found through a link to the folder too", async () => {
    const link = `${root}-link`;
    symlinkSync(root, link, "junction");
    try {
      const unsaved = [{ path: path.join(link, "src", "a.ts"), text: "edited\n" }];
      const { files } = await collectOne(link, { unsaved });
      assert.equal(files.find((file) => file.path === "src/a.ts")?.text, "edited\n");
    } finally {
      rmSync(link);
    }
  });
});
