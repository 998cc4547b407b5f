// Token ids equal to llama.cpp's, token for token, special tokens off, over the corpus; and the way back to the text.
// The golden files hold hashes (scripts/golden/make-tokens.ts); its --compare shows the place of a difference.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { readGguf } from "../../engine/models/gguf.ts";
import { Tokenizer } from "../../engine/tokenize/tokenizer.ts";
import { corpus, hashIds, hashText, type Segment } from "./corpus.ts";
import { findModel, goldenModels } from "./golden-models.ts";

const golden = z.object({
  segments: z.array(z.object({ name: z.string(), textSha256: z.string(), tokens: z.number(), idsSha256: z.string() })),
});

describe("Tokens of the corpus", function () {
  this.timeout(120_000);
  let segments: Segment[] = [];
  before(() => {
    segments = corpus(fileURLToPath(new URL("../../", import.meta.url)));
  });

  it("is at least 5 MB of code, prose, CJK, emoji and look-alikes", () => {
    const bytes = segments.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    assert.ok(bytes >= 5_000_000, `${bytes} bytes`);
  });

  for (const model of goldenModels) {
    const path = findModel(model);
    (path === null ? it.skip : it)(`are llama.cpp's for ${model.name}, and give the text back`, async () => {
      const file = golden.parse(JSON.parse(readFileSync(new URL(`${model.name}.tokens.json`, import.meta.url), "utf8")));
      const tokenizer = new Tokenizer((await readGguf(path ?? "")).tokenizer);
      const lacking = new Set(tokenizer.lacks().filter((byte) => byte < 0x80).map((byte) => String.fromCharCode(byte)));
      assert.deepEqual(
        segments.map(({ name, text }) => ({ name, textSha256: hashText(text) })),
        file.segments.map(({ name, textSha256 }) => ({ name, textSha256 })),
        "The corpus is not the one of the golden file: after a change of package-lock.json make it again.",
      );
      for (const [i, { name, text }] of segments.entries()) {
        const ids = tokenizer.encode(text);
        assert.equal(ids.length, file.segments[i]?.tokens, name);
        assert.equal(hashIds(ids), file.segments[i]?.idsSha256, name);
        const kept = lacking.size === 0 ? text : Array.from(text).filter((char) => !lacking.has(char)).join("");
        assert.ok(tokenizer.decode(ids) === kept, `${name} does not come back`);
      }
    });
  }
});
