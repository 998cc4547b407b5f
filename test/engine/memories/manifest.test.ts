// manifest.test.ts — what says which pages make up a memory: read back as it was written, and refused when anything about it changed.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Manifest, parseManifest, workspaceName, writeManifest } from "../../../engine/memories/manifest.ts";
import { randomFrom } from "../models/gguf-writer.ts";

const hex = (text: string): string => createHash("sha256").update(text).digest("hex");
const manifest: Manifest = {
  abi: 3,
  root: hex("root"),
  workspace: ["/home/someone/wörk"],
  model: "a model",
  patchedTokens: 48,
  documents: [40, 120, 17, 300].map((tokens, i) => ({
    path: `src/file-${i}.ts`,
    hash: hex(`${i}`),
    pieces: [
      { segment: hex(`a${i}`), segmentTokens: 500, page: i, tokens: 32, position: 100 * i + 64 },
      { segment: hex(`b${i}`), segmentTokens: tokens, page: 0, tokens, position: 100 * i + 96 },
    ],
  })),
};
const text = writeManifest(manifest);

/** The text with its checksum made right again. */
function signed(body: string): string {
  return `${body}sha256 ${hex(body)}\n`;
}

describe("a manifest", () => {
  it("comes back as it was written, and says nothing of what files hold", () => {
    assert.deepEqual(parseManifest(text), manifest);
    assert.deepEqual(parseManifest(writeManifest({ ...manifest, documents: [] })), { ...manifest, documents: [] });
    assert.equal(text.split("\n").length, 7);
  });

  it("is refused in every one of 10 000 damaged forms", () => {
    const random = randomFrom(2);
    const below = (end: number): number => Math.floor(random() * end);
    const good = Buffer.from(text);
    let damaged = 0;
    while (damaged < 10_000) {
      let bad = Buffer.from(good);
      const way = below(5);
      const at = below(good.length);
      if (way === 0) bad[at] = (bad[at] ?? 0) ^ (1 << below(8));
      else if (way === 1) bad = bad.subarray(0, at);
      else if (way === 2) bad = Buffer.concat([bad, good.subarray(at)]);
      else if (way === 3) bad.fill(0, at, Math.min(good.length, at + 512));
      else {
        const from = below(good.length);
        const length = Math.min(1 + below(200), good.length - Math.max(at, from));
        good.copy(bad, at, from, from + length);
      }
      if (bad.equals(good)) continue;
      damaged++;
      assert.equal(parseManifest(bad.toString("utf8")), undefined, `way ${way} at ${at}`);
    }
  });

  it("is refused with hostile numbers under a right checksum", () => {
    const body = text.slice(0, text.lastIndexOf("sha256 "));
    assert.deepEqual(parseManifest(signed(body)), manifest);
    for (const value of ["-1", "0.5", "1e99", "9007199254740993", "1073741825", '"1"', "null", "{}", "[]"]) {
      for (const field of ["abi", "patchedTokens", "documents", "segmentTokens", "page", "tokens", "position"]) {
        const bad = body.replace(new RegExp(`"${field}":\\d+`), `"${field}":${value}`);
        assert.notEqual(bad, body);
        assert.equal(parseManifest(signed(bad)), undefined, `${field} ${value}`);
      }
    }
    const others = [
      body.replace('"version":1', '"version":2'),
      body.replace('"version":1', '"version":1,"more":1'),
      body.replace('"documents":4', '"documents":3'),
      body.replace('"tokens":32', '"tokens":33'), // inside a page
      body.replace('"page":0,"tokens":40', '"page":1,"tokens":40'), // beyond its segment
      body.replace('"page":3', '"page":90'),
      body.replace(hex("a0"), hex("a0").toUpperCase()),
      body.replace(hex("a0"), `../${hex("a0").slice(3)}`),
      body.replace(/"pieces":\[[^\]]*\]/, '"pieces":[]'),
    ];
    for (const bad of others) {
      assert.notEqual(bad, body);
      assert.equal(parseManifest(signed(bad)), undefined, bad.slice(0, 200));
    }
  });

  it("belongs to one list of folders", () => {
    assert.match(workspaceName(["/a", "/b"]), /^[0-9a-f]{16}$/);
    assert.notEqual(workspaceName(["/a", "/b"]), workspaceName(["/a,/b"]));
  });
});
