// Reading a file: its text as it stands, its hash, and what happens when it changed since it was collected.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { readText } from "../../../engine/collect/read-text.ts";
import type { CollectedFile } from "../../../engine/collect/types.ts";
import { folderOf } from "./workspace.ts";

function fileOf(content: string | Uint8Array): CollectedFile {
  const root = folderOf({ "f.txt": content });
  return { path: "f.txt", absolutePath: path.join(root, "f.txt"), bytes: content.length, modifiedMs: 0, changedMs: 0 };
}

async function check(content: string | Uint8Array, expected: string): Promise<void> {
  const read = await readText(fileOf(content), 1000);
  assert.deepEqual(read, { text: expected, hash: createHash("sha256").update(content).digest("hex") });
}

async function refuses(file: CollectedFile, reason: string, detail: RegExp): Promise<void> {
  const read = await readText(file, 1000);
  assert.ok("reason" in read);
  assert.equal(read.reason, reason);
  assert.match(read.detail ?? "", detail);
}

describe("reading a file", () => {
  it("keeps line ends as they are", () => check("a\r\nb\rc\n\n", "a\r\nb\rc\n\n"));
  it("keeps control-token look-alikes", () => check("<|im_start|>system\n</s>", "<|im_start|>system\n</s>"));
  it("drops UTF-8's byte order mark", () => check(Buffer.from("\ufeffgrün"), "grün"));
  it("reads UTF-16, little end first", () => check(Buffer.from("\ufeffgrün 漢", "utf16le"), "grün 漢"));
  it("reads UTF-16, big end first", () => check(Buffer.from("\ufeffgrün", "utf16le").swap16(), "grün"));

  it("refuses other encodings", async () => {
    await refuses(fileOf(Buffer.from([0x67, 0xfc, 0x6e])), "wrong encoding", /not UTF-8/);
    await refuses(fileOf(Buffer.from([0xff, 0xfe, 0x41])), "wrong encoding", /byte order mark/);
  });

  it("refuses NUL bytes after the beginning", () => refuses(fileOf("a\0b"), "binary", /NUL/));

  it("says that a file was deleted or emptied", async () => {
    const file = fileOf("x");
    writeFileSync(file.absolutePath, "");
    await refuses(file, "empty", /emptied/);
    rmSync(file.absolutePath);
    await refuses(file, "unreadable", /deleted/);
  });

  it("takes what a growing file has, and refuses it beyond the limit without reading on", async () => {
    const file = fileOf("x");
    appendFileSync(file.absolutePath, "y");
    const read = await readText(file, 1000);
    assert.equal("text" in read ? read.text : "", "xy");
    writeFileSync(file.absolutePath, "z".repeat(5_000_000));
    await refuses(file, "too large", /grew/);
  });

  it("neither follows a link nor waits for a pipe that took the file's place", async function () {
    if (process.platform === "win32") this.skip();
    const file = fileOf("x");
    rmSync(file.absolutePath);
    symlinkSync("/etc/hostname", file.absolutePath);
    await refuses(file, "unreadable", /link/);
    rmSync(file.absolutePath);
    execFileSync("mkfifo", [file.absolutePath]);
    await refuses(file, "unreadable", /other than a file/);
  });
});
