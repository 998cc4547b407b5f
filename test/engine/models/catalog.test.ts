import assert from "node:assert/strict";
import { QuireError } from "../../../engine/errors.ts";
import { catalog, findModel, memoryBytesPerToken, memoryNeed, parseCatalog } from "../../../engine/models/catalog.ts";

describe("catalog", () => {
  it("names the three models of the design, the one for tests marked", () => {
    assert.deepEqual(
      catalog.map((entry) => [entry.name, entry.testOnly]),
      [
        ["qwen2.5-coder-1.5b", false],
        ["qwen2.5-coder-0.5b", false],
        ["smollm2-135m", true],
      ],
    );
  });
  it("asks the publisher's hub first and the mirror second", () => {
    for (const entry of catalog)
      assert.deepEqual(
        entry.sources.map((s) => s.kind),
        ["https", "wheels"],
      );
  });
  it("counts 12 KiB of keys and values a token, and a sixteenth for summaries, for the 0.5B", () => {
    const entry = findModel("qwen2.5-coder-0.5b");
    assert.ok(entry);
    assert.equal(memoryBytesPerToken(entry), 12_288 * (1 + 1 / 16));
    assert.equal(memoryNeed(entry, 1_000), 491_400_064 + 13_056_000 + 500e6);
  });
  it("refuses a catalog with an http address, a wrong hash, parts that do not add up, or a name twice", () => {
    const good = structuredClone(catalog[2]);
    assert.ok(good);
    parseCatalog({ models: [good] });
    const wheels = good.sources[1];
    for (const bad of [
      { ...good, sha256: "00" },
      { ...good, sources: [{ kind: "https", url: "http://example.test/x.gguf" }] },
      { ...good, sources: [{ ...wheels, parts: [{ bytes: 1, sha256: good.sha256 }] }] },
      { ...good, file: "../x.gguf" },
    ]) {
      assert.throws(() => parseCatalog({ models: [bad] }), QuireError);
    }
    assert.throws(() => parseCatalog({ models: [good, good] }), QuireError);
  });
});
