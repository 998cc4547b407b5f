// stamps.test.ts — a stamp changes with what a step reads, and with nothing else.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { filesUnder, hashOf } from "../../scripts/stamps.mjs";

describe("hashOf", () => {
  let folder: string;
  const at = (name: string): string => path.join(folder, name);
  const hash = (words: string[] = []): string => hashOf(filesUnder(folder), words);

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "quire-stamps-"));
    mkdirSync(at("sub"));
    writeFileSync(at("a.txt"), "one");
    writeFileSync(at("sub/b.txt"), "two");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const changes: [string, () => void][] = [
    ["a file's text", () => writeFileSync(at("sub/b.txt"), "twO")],
    ["a file's name", () => renameSync(at("a.txt"), at("c.txt"))],
    ["a new file", () => writeFileSync(at("sub/c.txt"), "")],
    ["a removed file", () => rmSync(at("a.txt"))],
    [
      "text moved from one file to the next",
      () => {
        writeFileSync(at("a.txt"), "onet");
        writeFileSync(at("sub/b.txt"), "wo");
      },
    ],
  ];
  for (const [what, change] of changes) {
    it(`changes with ${what}`, () => {
      const before = hash();
      change();
      assert.notEqual(hash(), before);
    });
  }

  it("changes with a word", () => assert.notEqual(hash(["x64"]), hash(["arm64"])));

  it("does not change with a file's time", () => {
    const before = hash();
    utimesSync(at("a.txt"), 1, 1);
    assert.equal(hash(), before);
  });

  it("leaves out node_modules", () => {
    const before = hash();
    mkdirSync(at("node_modules"));
    writeFileSync(at("node_modules/x.js"), "");
    assert.equal(hash(), before);
  });
});
