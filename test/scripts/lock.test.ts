// lock.test.ts — the set-up's lock, held by real processes that overlap, fail and die.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { tryLock, withLock } from "../../scripts/lock.mjs";

const lockModule = path.join(import.meta.dirname, "..", "..", "scripts", "lock.mjs");

describe("the lock of the set-up", () => {
  let folder: string;
  const children: ChildProcess[] = [];

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "quire-lock-"));
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });

  /** A process that runs `body` with withLock imported. */
  const run = (body: string): ChildProcess => {
    const code = `import { withLock } from ${JSON.stringify(lockModule)}; import fs from "node:fs"; const folder = ${JSON.stringify(folder)}; ${body}`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    return child;
  };
  /** A process that holds the lock until it is killed; resolves when it has it. */
  const holder = async (): Promise<ChildProcess> => {
    const child = run(
      'await withLock(folder, () => { console.log("held"); return new Promise((r) => setTimeout(r, 60000)); });',
    );
    await once(child.stdout ?? assert.fail(), "data");
    return child;
  };

  it("lets one process in at a time", async () => {
    const counter = path.join(folder, "counter");
    writeFileSync(counter, "0");
    // Read, pause, write: an overlap loses a count.
    const add = `for (let i = 0; i < 5; ++i) await withLock(folder, async () => {
      const n = Number(fs.readFileSync(${JSON.stringify(counter)}, "utf8"));
      await new Promise((r) => setTimeout(r, 5));
      fs.writeFileSync(${JSON.stringify(counter)}, String(n + 1));
    });`;
    const ends = await Promise.all(Array.from({ length: 6 }, () => once(run(add), "exit")));
    assert.deepEqual(
      ends.map(([status]) => status),
      Array(6).fill(0),
    );
    assert.equal(readFileSync(counter, "utf8"), "30");
  });

  it("says who is waited for, and goes on when that process is killed", async () => {
    const first = await holder();
    const waited: number[] = [];
    const done = withLock(
      folder,
      () => "ours",
      (owner: number) => {
        waited.push(owner);
        first.kill("SIGKILL");
      },
    );
    assert.equal(await done, "ours");
    assert.deepEqual(waited, [first.pid]);
  });

  it("is free again after an error inside", async () => {
    await assert.rejects(
      withLock(folder, () => {
        throw new Error("inside");
      }),
      /inside/,
    );
    assert.equal(await withLock(folder, () => 1), 1);
  });

  it("is not held by a process that got the id of a dead owner", function () {
    if (!existsSync("/proc/self/stat")) this.skip();
    writeFileSync(path.join(folder, "lock.7"), `${process.pid} 1`);
    const { release } = tryLock(folder);
    assert.ok(release);
    release();
  });

  it("leaves one file behind", async () => {
    for (let i = 0; i < 5; ++i) await withLock(folder, () => i);
    assert.deepEqual(readdirSync(folder), ["lock.5"]);
  });
});
