// outdated.test.ts — what an earlier Quire kept and this one cannot use: removed, and said; all else stays.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { aboutName, readAbout, writeAbout } from "../../../engine/memories/about.ts";
import { namesVersion } from "../../../engine/memories/identity.ts";
import { removeOutdated } from "../../../engine/memories/outdated.ts";
import { hashOf, storeState } from "./stored.ts";

const abi = 7;
const old = new Date(Date.now() - 2 * 3_600_000);

describe("memories of another version of Quire", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "quire-outdated-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const inFolder = (name: string): string => path.join(folder, hashOf(name).slice(0, 16));
  async function store(name: string, wroteIt: number): Promise<string> {
    storeState(inFolder(name), { workspace: [`/w/${name}`], documents: ["a", "b"], usedMs: old.getTime() });
    await writeAbout(inFolder(name), { abi: wroteIt, model: "small", backend: "cpu" });
    return inFolder(name);
  }

  it("go when the engine computes otherwise than before, with a sentence that says why it reads again", async () => {
    const [before, now, later] = [
      await store("before", abi - 1),
      await store("now", abi),
      await store("later", abi + 1),
    ];
    const said = await removeOutdated(folder, abi);
    assert.match(said ?? "", /computes memory differently .* kB of 1 workspace .* removed\. .* read again/);
    assert.deepEqual(
      [before, now, later].map((name) => existsSync(name)),
      [false, true, true],
    );
    assert.equal(await removeOutdated(folder, abi), undefined, "it is said once");
  });

  it("go when their files are named otherwise, and when they were written before folders described themselves", async () => {
    const names = await store("names", abi);
    const about = path.join(names, aboutName);
    writeFileSync(about, readFileSync(about, "utf8").replace(/"names": \d+/, `"names": ${namesVersion - 1}`));
    const first = inFolder("first");
    mkdirSync(first);
    writeFileSync(path.join(first, hashOf("x")), "pages");
    for (const name of [path.join(first, hashOf("x")), first]) utimesSync(name, old, old);
    const young = inFolder("young");
    mkdirSync(young);
    writeFileSync(path.join(young, hashOf("x")), "pages");
    assert.match((await removeOutdated(folder, abi)) ?? "", /read again/);
    assert.deepEqual(
      [names, first, young].map((name) => existsSync(name)),
      [false, false, true],
    );
  });

  it("stay when they cannot be told: a description that is damaged, a folder with another name", async () => {
    const damaged = await store("damaged", abi);
    writeFileSync(path.join(damaged, aboutName), "{");
    const other = path.join(folder, "other");
    mkdirSync(other);
    writeFileSync(path.join(other, "file"), "x");
    for (const name of [path.join(other, "file"), other, damaged]) utimesSync(name, old, old);
    assert.equal(await removeOutdated(folder, abi), undefined);
    assert.deepEqual([existsSync(damaged), existsSync(other)], [true, true]);
  });

  it("are described in words that a person can read, once, for their user only", async () => {
    const about = path.join(await store("one", abi), aboutName);
    await writeAbout(inFolder("one"), { abi: 99, model: "other", backend: "other" });
    assert.deepEqual(await readAbout(inFolder("one")), { abi, names: namesVersion, model: "small", backend: "cpu" });
    assert.match(readFileSync(about, "utf8"), /What Quire read of repositories.*`quire memories`/);
    assert.equal(statSync(about).mode & 0o777, 0o600);
  });
});
