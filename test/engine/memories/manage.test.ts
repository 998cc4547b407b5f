// manage.test.ts — memories on disk as their user handles them: listed, pinned, deleted, read again; what others share stays.

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { writeAbout } from "../../../engine/memories/about.ts";
import {
  listMemories,
  pinMemory,
  readMemoryAgain,
  removeMemories,
  removeMemory,
} from "../../../engine/memories/manage.ts";
import type { MemoryRow } from "../../../engine/protocol.ts";
import { documentTokens, hashOf, segmentBytes, storeState } from "./stored.ts";

const now = Date.now();
const minute = 60_000;

describe("memories on disk, managed", () => {
  let home = "";
  let folder = "";
  let identity = "";
  beforeEach(() => {
    home = mkdtempSync(path.join(tmpdir(), "quire-manage-"));
    folder = path.join(home, "memories");
    identity = path.join(folder, hashOf("a").slice(0, 16));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const rows = async (): Promise<MemoryRow[]> => (await listMemories(folder, 5e9)).rows;
  async function rowOf(workspace: string): Promise<MemoryRow> {
    const row = (await rows()).find((one) => one.workspace.includes(workspace));
    assert.ok(row, `${workspace} is listed`);
    return row;
  }

  /** Two worktrees that share two documents of four, and a third workspace of another model. */
  async function three() {
    const first = storeState(identity, { workspace: ["/w/one"], documents: ["a", "b", "c"], usedMs: now - minute });
    const second = storeState(identity, {
      workspace: ["/w/two"],
      documents: ["a", "b", "d"],
      usedMs: now - 2 * minute,
    });
    await writeAbout(identity, { abi: 7, model: "small", backend: "cpu avx2" });
    const elsewhere = path.join(folder, hashOf("b").slice(0, 16));
    const third = storeState(elsewhere, { workspace: ["/w/three"], documents: ["a"], usedMs: now, model: "large" });
    return { first, second, third };
  }

  it("are listed by last use with workspace, model, tokens, sizes and what is shared", async () => {
    await three();
    const list = await listMemories(folder, 5e9);
    assert.deepEqual(
      list.rows.map(({ workspace, model, tokens }) => [workspace, model, tokens]),
      [
        [["/w/three"], "large", documentTokens],
        [["/w/one"], "small", 3 * documentTokens],
        [["/w/two"], "small", 3 * documentTokens],
      ],
    );
    const [, one] = list.rows;
    assert.ok(one);
    const manifest = one.bytes - 3 * segmentBytes;
    assert.ok(manifest > 0);
    assert.equal(one.ownBytes, segmentBytes + manifest);
    assert.deepEqual([one.kind, one.backend, one.states, one.pinned], ["memory", "cpu avx2", 1, false]);
    assert.ok(Math.abs(one.lastUsedMs - (now - minute)) <= 1000);
    assert.equal(list.capBytes, 5e9);
    const onDisk = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) =>
      statSync(path.join(folder, name)),
    );
    assert.equal(
      list.bytes,
      onDisk.filter((status) => status.isFile()).reduce((sum, { size }) => sum + size, 0),
    );
  });

  it("count the states of branches once each, and show the one that was used last", async () => {
    storeState(identity, { workspace: ["/w/one"], documents: ["a", "b"], usedMs: now - minute });
    storeState(identity, { workspace: ["/w/one"], documents: ["a", "c", "d"], usedMs: now, patchedTokens: 12 });
    const [row, ...more] = await rows();
    assert.deepEqual(more, []);
    assert.deepEqual([row?.states, row?.tokens, row?.patchedTokens], [2, 3 * documentTokens, 12]);
    assert.ok(row && row.bytes > 4 * segmentBytes && row.ownBytes === row.bytes);
  });

  it("show as tokens only what can be loaded: up to the first document that is missing", async () => {
    const { segments } = storeState(identity, { workspace: ["/w"], documents: ["a", "b", "c"], usedMs: now });
    rmSync(segments[1] ?? "");
    assert.equal((await rowOf("/w")).tokens, documentTokens);
  });

  it("deleted take with them only what no other memory needs", async () => {
    const { first, second } = await three();
    const { id, ownBytes } = await rowOf("/w/one");
    const removed = await removeMemory(folder, id);
    assert.deepEqual(removed, { freedBytes: ownBytes, refusedFiles: 0, refused: "" });
    assert.deepEqual(
      [...first.segments, first.manifest].map((file) => existsSync(file)),
      [true, true, false, false],
    );
    assert.ok([...second.segments, second.manifest].every((file) => existsSync(file)));
    assert.equal((await rowOf("/w/two")).tokens, 3 * documentTokens);
    await removeMemory(folder, (await rowOf("/w/two")).id);
    assert.equal(existsSync(identity), false, "a folder without memories goes");
    assert.equal((await rows()).length, 1);
    await assert.rejects(removeMemory(folder, id), { code: "unknown-memory" });
  });

  it("read again lose everything but their pin, what is shared too: it is to be read, not to be found", async () => {
    const { first, second } = await three();
    await pinMemory(folder, (await rowOf("/w/one")).id, true);
    await readMemoryAgain(folder, (await rowOf("/w/one")).id);
    assert.ok([...first.segments, first.manifest].every((file) => !existsSync(file)));
    assert.ok(existsSync(second.manifest));
    storeState(identity, { workspace: ["/w/one"], documents: ["a", "b"], usedMs: now });
    assert.equal((await rowOf("/w/one")).pinned, true);
  });

  it("pinned stay so until they are not, in a file that only its user may read", async () => {
    await three();
    const { id } = await rowOf("/w/two");
    await pinMemory(folder, id, true);
    await pinMemory(folder, id, true);
    assert.deepEqual([(await rowOf("/w/two")).pinned, (await rowOf("/w/one")).pinned], [true, false]);
    const pin = readdirSync(identity).find((name) => name.endsWith(".pinned")) ?? "";
    assert.equal(statSync(path.join(identity, pin)).mode & 0o777, 0o600);
    await pinMemory(folder, id, false);
    assert.equal((await rowOf("/w/two")).pinned, false);
  });

  it("have a row for what belongs to none of them, which can be deleted alone", async () => {
    const { first } = await three();
    writeFileSync(path.join(identity, hashOf("cut off")), Buffer.alloc(77));
    const rest = (await rows()).find(({ kind }) => kind === "rest");
    assert.deepEqual([rest?.bytes, rest?.workspace, rest?.model], [77, [], "small"]);
    await assert.rejects(pinMemory(folder, rest?.id ?? "", true), { code: "bad-option" });
    await removeMemory(folder, rest?.id ?? "");
    assert.equal((await rows()).length, 3);
    assert.ok(first.segments.every((file) => existsSync(file)));
  });

  it("that are damaged are no memories: their parts are a rest", async () => {
    const { manifest } = storeState(identity, { workspace: ["/w"], documents: ["a"], usedMs: now });
    writeFileSync(manifest, "damaged");
    assert.deepEqual(
      (await rows()).map(({ kind }) => kind),
      ["rest"],
    );
  });

  it("go all at once, with the token ids of what was read; what is not Quire's stays", async () => {
    await three();
    const tokens = path.join(home, "tokens");
    const models = path.join(home, "models");
    for (const name of [tokens, models]) mkdirSync(name);
    writeFileSync(path.join(tokens, "x.tokens"), "ids");
    writeFileSync(path.join(models, "m.gguf"), "weights");
    writeFileSync(path.join(folder, "note.txt"), "someone's");
    const { bytes } = await listMemories(folder, 0);
    const removed = await removeMemories(folder, tokens);
    assert.deepEqual(removed, { freedBytes: bytes, refusedFiles: 0, refused: "" });
    assert.deepEqual(readdirSync(folder), ["note.txt"]);
    assert.deepEqual([existsSync(tokens), existsSync(path.join(models, "m.gguf"))], [false, true]);
    assert.deepEqual(await rows(), []);
  });

  it("are nothing where nothing was kept, and no id is taken for a path", async () => {
    assert.deepEqual(await listMemories(folder, 0), { folder, bytes: 0, capBytes: 0, rows: [] });
    await three();
    for (const id of ["", "..", "../..", path.basename(identity)]) {
      await assert.rejects(removeMemory(folder, id), { code: "unknown-memory" });
    }
    assert.equal((await rows()).length, 3);
  });

  it("that cannot be deleted are counted, with the reason", async function () {
    if (process.platform === "win32" || process.getuid?.() === 0) return this.skip(); // root may delete anywhere
    await three();
    chmodSync(identity, 0o500);
    try {
      const removed = await removeMemory(folder, (await rowOf("/w/one")).id);
      assert.ok(removed.refusedFiles > 0 && removed.freedBytes === 0);
      assert.match(removed.refused, /EACCES|EPERM/);
    } finally {
      chmodSync(identity, 0o700);
    }
  });
});
