// space.test.ts — the cap on what memories take: what goes first, what goes last, and what goes with it.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { listMemories, pinMemory } from "../../../engine/memories/manage.ts";
import { DiskSpace } from "../../../engine/memories/space.ts";
import { hashOf, segmentBytes, storeState } from "./stored.ts";

const now = Date.now();
const hour = 3_600_000;

describe("the cap on memories", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "quire-space-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const inFolder = (name: string): string => path.join(folder, hashOf(name).slice(0, 16));
  const store = (name: string, documents: string[], usedMs: number) =>
    storeState(inFolder(name), { workspace: [`/w/${name}`], documents, usedMs });
  const used = async (): Promise<number> => (await listMemories(folder, 0)).bytes;
  const left = (files: readonly string[]): number => files.filter((file) => existsSync(file)).length;

  it("takes the least recently used first, later documents before earlier ones, and their manifest and folder with the last", async () => {
    const old = store("old", ["a", "b", "c"], now - 2 * hour);
    const recent = store("recent", ["a", "b", "c"], now - hour);
    const space = new DiskSpace(folder, await used());
    assert.equal(await space.makeRoom(segmentBytes, () => []), true);
    assert.deepEqual(
      old.segments.map((file) => existsSync(file)),
      [true, true, false],
    );
    assert.ok(existsSync(old.manifest), "what is left of it can be loaded");
    assert.equal(await new DiskSpace(folder, await used()).makeRoom(2 * segmentBytes, () => []), true);
    assert.equal(existsSync(inFolder("old")), false);
    assert.equal(left(recent.segments), 3);
  });

  it("takes what is pinned last, however long it was not used", async () => {
    const pinned = store("pinned", ["a", "b"], now - 9 * hour);
    const other = store("other", ["c", "d"], now);
    const { rows } = await listMemories(folder, 0);
    const row = rows.find(({ workspace }) => workspace.includes("/w/pinned"));
    await pinMemory(folder, row?.id ?? "", true);
    const cap = await used();
    assert.equal(await new DiskSpace(folder, cap).makeRoom(2 * segmentBytes, () => []), true);
    assert.deepEqual([left(pinned.segments), left(other.segments)], [2, 0]);
    assert.equal(
      await new DiskSpace(folder, cap).makeRoom(cap - segmentBytes - 900, () => []),
      true,
      "then pinned ones go too",
    );
    assert.equal(left(pinned.segments), 1);
  });

  it("never takes what is being read, and says that it does not fit", async () => {
    const { segments } = store("one", ["a", "b"], now);
    const space = new DiskSpace(folder, await used());
    assert.equal(await space.makeRoom(1, () => segments), false);
    assert.equal(left(segments), 2);
  });

  it("removes what a process that is gone left half written, and leaves what another is writing", async () => {
    store("one", ["a"], now);
    const [abandoned, young] = ["x", "y"].map((name) => path.join(inFolder("one"), `${hashOf(name)}.1.tmp`));
    for (const file of [abandoned ?? "", young ?? ""]) writeFileSync(file, "half");
    utimesSync(abandoned ?? "", new Date(now - 2 * hour), new Date(now - 2 * hour));
    await new DiskSpace(folder, 1e9).makeRoom(1, () => []);
    assert.deepEqual([existsSync(abandoned ?? ""), existsSync(young ?? "")], [false, true]);
  });

  it("looks at nothing that has not the name of a memory", async () => {
    const { segments } = store("one", ["a"], now);
    writeFileSync(path.join(folder, "note.txt"), "x".repeat(5000));
    writeFileSync(path.join(inFolder("one"), "note.txt"), "someone's");
    assert.equal(await new DiskSpace(folder, 0).makeRoom(0, () => []), false);
    assert.equal(left(segments), 0);
    assert.deepEqual(readdirSync(inFolder("one")), ["note.txt"]);
  });
});
