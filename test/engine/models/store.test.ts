import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { findModel, type ModelEntry } from "../../../engine/models/catalog.ts";
import { acquireLock } from "../../../engine/models/lock.ts";
import { listModels, removeModel, verifyModel } from "../../../engine/models/store.ts";

const bytes = Buffer.from("weights");
const entry: ModelEntry = {
  ...(findModel("smollm2-135m") ?? assert.fail()),
  file: "m.gguf",
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex"),
};

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "quire-store-"));
  file = path.join(folder, "m.gguf");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const state = async (): Promise<[string | undefined, number | undefined]> => {
  const [found] = await listModels(folder, [entry]);
  return [found?.state, found?.bytesOnDisk];
};

describe("listModels and removeModel", () => {
  it("tell missing, partial, corrupt and present apart, with bytes on disk, and free them", async () => {
    assert.deepEqual(await state(), ["missing", 0]);
    await writeFile(`${file}.part`, "wei");
    await mkdir(`${file}.wheels/2`, { recursive: true });
    await writeFile(`${file}.wheels/2/x.whl`, "12345");
    assert.deepEqual(await state(), ["partial", 8]);
    await writeFile(file, "other");
    assert.deepEqual(await state(), ["corrupt", 13]);
    await writeFile(file, bytes);
    assert.deepEqual(await state(), ["present", 15]);
    assert.equal(await removeModel(entry, { folder }), 15);
    assert.deepEqual(await state(), ["missing", 0]);
    assert.equal(await removeModel(entry, { folder }), 0);
  });
  it("do not remove what is being fetched", async () => {
    await writeFile(`${file}.part`, "wei");
    const lock = await acquireLock(`${file}.lock`, { onWait: () => assert.fail() });
    await assert.rejects(removeModel(entry, { folder }), { code: "busy" });
    await lock.release();
    assert.equal(await removeModel(entry, { folder }), 3);
  });
});

describe("verifyModel", () => {
  it("hashes once and again only after a change", async () => {
    await writeFile(file, bytes);
    const hashed = async (force = false): Promise<boolean> => {
      let read = false;
      assert.equal(await verifyModel(entry, { folder, force, onBytes: () => (read = true) }), file);
      return read;
    };
    assert.deepEqual([await hashed(), await hashed(), await hashed(true)], [true, false, true]);
    await utimes(file, 1, 1);
    assert.deepEqual([await hashed(), await hashed()], [true, false]);
    await writeFile(path.join(folder, "identity.json"), "{ broken");
    assert.deepEqual([await hashed(), await hashed()], [true, false]);
  });
  it("refuses other bytes of the same size, another size, and nothing", async () => {
    await writeFile(file, bytes);
    await verifyModel(entry, { folder });
    await writeFile(file, "wEights");
    await assert.rejects(verifyModel(entry, { folder }), { code: "model-corrupt" });
    await writeFile(file, "weight");
    await assert.rejects(verifyModel(entry, { folder }), { code: "model-corrupt" });
    await rm(file);
    await assert.rejects(verifyModel(entry, { folder }), {
      code: "model-missing",
      nextStep: /quire models fetch smollm2-135m/,
    });
  });
  it("stops when cancelled", async () => {
    await writeFile(file, bytes);
    await assert.rejects(verifyModel(entry, { folder, signal: AbortSignal.abort() }), { code: "cancelled" });
  });
});

describe("acquireLock", () => {
  const lockFile = (): string => path.join(folder, "x.lock");
  it("is held by one, waits, and passes on", async () => {
    const first = await acquireLock(lockFile(), { onWait: () => assert.fail() });
    let waits = 0;
    const second = acquireLock(lockFile(), { onWait: () => waits++ });
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(waits, 1);
    await first.release();
    await (await second).release();
    assert.deepEqual(await readdir(folder), []);
  });
  it("is taken from a dead process, and from one that was not heard of for long", async () => {
    for (const [owner, age] of [
      [{ pid: 2 ** 22 + 1, host: (await import("node:os")).hostname(), token: "a" }, 0],
      [{ pid: process.pid, host: "elsewhere", token: "b" }, 60],
    ] as const) {
      await writeFile(lockFile(), JSON.stringify(owner));
      const then = Date.now() / 1000 - age;
      await utimes(lockFile(), then, then);
      await (await acquireLock(lockFile(), { onWait: () => assert.fail() })).release();
    }
    assert.deepEqual(await readdir(folder), []);
  });
  it("is not taken from a living one elsewhere, and waiting can be cancelled", async () => {
    await writeFile(lockFile(), JSON.stringify({ pid: 2 ** 22 + 1, host: "elsewhere", token: "c" }));
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    await assert.rejects(acquireLock(lockFile(), { signal: stop.signal, onWait: () => undefined }), {
      code: "cancelled",
    });
  });
});
