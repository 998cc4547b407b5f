// Ids kept from one run to the next, and files that cannot be trusted.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { keyOf, TokenCache } from "../../../engine/tokenize/token-cache.ts";

const tokenizerHash = "ab".repeat(32);

describe("TokenCache", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "quire-tokens-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const open = (replaced: Partial<Parameters<typeof TokenCache.open>[0]> = {}): Promise<TokenCache> =>
    TokenCache.open({ folder, tokenizerHash, vocabularySize: 1_000, ...replaced });
  const file = (): string => path.join(folder, `${tokenizerHash.slice(0, 16)}.tokens`);
  const written = async (): Promise<Buffer> => {
    const cache = await open();
    for (const text of ["a", "bb", ""])
      cache.set(
        keyOf(text),
        Int32Array.from(text, (_, i) => i + text.length),
      );
    assert.ok(await cache.save());
    return await readFile(file());
  };

  it("gives back what was set, also after it was saved and opened again", async () => {
    await written();
    const cache = await open();
    assert.equal(cache.size, 3);
    assert.deepEqual(cache.get(keyOf("bb")), Int32Array.of(2, 3));
    assert.deepEqual(cache.get(keyOf("")), new Int32Array(0));
    assert.equal(cache.get(keyOf("c")), undefined);
  });

  it("writes a file for its user alone, and nothing when nothing is new", async () => {
    await written();
    if (process.platform !== "win32") assert.equal((await stat(file())).mode & 0o077, 0);
    assert.deepEqual(await readdir(folder), [path.basename(file())]);
    assert.equal(await (await open()).save(), false);
  });

  it("believes no file with a byte changed, cut off or added", async () => {
    const good = await written();
    for (let at = 0; at < good.length; at += 3) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      await writeFile(file(), bad);
      assert.equal((await open()).size, 0, `byte ${at}`);
    }
    for (const length of [0, 1, 40, 80, good.length - 1]) {
      await writeFile(file(), good);
      await truncate(file(), length);
      assert.equal((await open()).size, 0, `length ${length}`);
    }
    await writeFile(file(), Buffer.concat([good, Buffer.alloc(4)]));
    assert.equal((await open()).size, 0);
  });

  it("believes no file of another tokenizer, and no id that the vocabulary does not have", async () => {
    await written();
    assert.equal((await open({ tokenizerHash: `${tokenizerHash.slice(0, 16)}${"0".repeat(48)}` })).size, 0);
    assert.equal((await open({ vocabularySize: 3 })).size, 0);
  });

  it("forgets the least recently used beyond its bytes", async () => {
    const cache = await open({ maxBytes: 3_000 });
    for (const text of ["1", "2"]) cache.set(keyOf(text), new Int32Array(300));
    cache.get(keyOf("1"));
    cache.set(keyOf("3"), new Int32Array(300));
    assert.equal(cache.get(keyOf("2")), undefined);
    assert.equal(cache.get(keyOf("1"))?.length, 300);
    cache.set(keyOf("4"), new Int32Array(3_000));
    assert.equal(cache.size, 0);
  });

  it("works without a folder, and where the folder cannot be written", async () => {
    const none = await open({ folder: null });
    none.set(keyOf("a"), Int32Array.of(1));
    assert.equal(await none.save(), false);
    await writeFile(path.join(folder, "file"), "");
    const blocked = await open({ folder: path.join(folder, "file", "below") });
    blocked.set(keyOf("a"), Int32Array.of(1));
    assert.equal(await blocked.save(), false);
    assert.deepEqual(blocked.get(keyOf("a")), Int32Array.of(1));
  });
});
