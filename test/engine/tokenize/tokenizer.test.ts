// Text to ids and back, on a tokenizer small enough to see through. Equality with llama.cpp: test/golden/tokens.test.ts.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { QuireError } from "../../../engine/errors.ts";
import { readGguf } from "../../../engine/models/gguf.ts";
import { Tokenizer } from "../../../engine/tokenize/tokenizer.ts";
import { fetchedModel } from "../../models/fetched-model.ts";
import { control, spelt, tinySource, tinyTokenizer } from "./tiny.ts";

/** The text with lone surrogates replaced, by way of UTF-8. */
const wellFormed = (text: string): string => Buffer.from(text, "utf8").toString("utf8");

function refuses(make: () => unknown, code: string, where: string): void {
  assert.throws(make, (error) => error instanceof QuireError && error.code === code && error.where === where);
}

describe("Tokenizer", () => {
  const tokenizer = tinyTokenizer();
  const check = (text: string, expected: string[]): void =>
    assert.deepEqual(spelt(tokenizer, tokenizer.encode(text)), expected);

  it("merges the best pair first and never across words", () => {
    check("hello", ["hello"]);
    check("hell", ["hell"]);
    check("hel lo", ["he", "l", "Ġ", "l", "o"]);
    check(" w", ["Ġw"]);
    check("", []);
  });

  it("reads control tokens in a text as characters", () => {
    for (const token of control) {
      const ids = tokenizer.encode(`a${token}b`);
      assert.ok([...ids].every((id) => !tokenizer.isControl(id)));
      assert.equal(tokenizer.decode(ids), `a${token}b`);
    }
  });

  it("finds control tokens in a template", () => {
    assert.deepEqual(spelt(tokenizer, tokenizer.encodeTemplate("<|im_start|>hello\n")), ["<|im_start|>", "hello", "Ċ"]);
    assert.equal(tokenizer.encodeTemplate("").length, 0);
  });

  it("finds user-defined tokens in a text, as llama.cpp does", () => {
    check("hello<tool>hello", ["hello", "<tool>", "hello"]);
    check("<tool", ["<", "t", "o", "o", "l"]);
  });

  it("brings back any text exactly; lone surrogates become U+FFFD", () => {
    const texts = fc.string({ unit: "binary", maxLength: 200 });
    fc.assert(fc.property(texts, (text) => tokenizer.decode(tokenizer.encode(text)) === wellFormed(text)));
    for (const text of [
      "\0",
      "\ufeffa\ufeff",
      "\ud800",
      "a\udc00b",
      "\u{10ffff}",
      "\r\n\u0085\u2028",
      "x".repeat(10_000),
    ]) {
      assert.equal(tokenizer.decode(tokenizer.encode(text)), wellFormed(text));
    }
  });

  it("gives the same ids from its table of words as without", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        assert.deepEqual(tokenizer.encode(text), tinyTokenizer().encode(text));
      }),
      { numRuns: 20 },
    );
  });

  it("cuts a word of more than 4096 characters, never inside a surrogate pair", () => {
    for (const unit of ["a", "\u{20000}", "=", " "]) {
      const text = `x${unit.repeat(100_000)}`;
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    }
  });

  it("gives no text for control tokens and ids out of range", () => {
    const end = tokenizer.idOf("<|im_end|>") ?? -1;
    assert.equal(tokenizer.decode([end, ...tokenizer.encode("hello"), -1, 1_000_000]), "hello");
  });

  it("drops bytes that the vocabulary lacks, and names them", () => {
    const source = tinySource();
    const tokens = [...source.tokens];
    tokens[4] = "unused-4";
    const lacking = new Tokenizer({ ...source, tokens });
    assert.deepEqual(lacking.lacks(), [4]);
    assert.equal(lacking.decode(lacking.encode("a\u0004b")), "ab");
  });

  it("takes a token named __proto__ like any other", () => {
    const source = tinySource();
    const odd = new Tokenizer({
      ...source,
      tokens: [...source.tokens, "__proto__"],
      tokenTypes: [...source.tokenTypes, 3],
    });
    assert.equal(odd.idOf("__proto__"), source.tokens.length);
    assert.equal(odd.decode(odd.encode("__proto__")), "__proto__");
  });

  it("has another hash for other metadata, and the same for the same", () => {
    assert.equal(tinyTokenizer().hash, tokenizer.hash);
    assert.notEqual(tinyTokenizer({ pre: "smollm" }).hash, tokenizer.hash);
    assert.notEqual(new Tokenizer(tinySource(["l l"])).hash, tokenizer.hash);
  });

  it("cuts digits and spaces as the pre-tokenizer says", () => {
    const words = (pre: string, text: string): string[] => {
      const merges = ["Ġ Ġ", "1 2", "12 3", "Ġ 1", "a b"];
      const made = new Tokenizer(tinySource(merges, { pre }));
      return spelt(made, made.encode(text));
    };
    assert.deepEqual(words("qwen2", "123"), ["1", "2", "3"]);
    assert.deepEqual(words("llama-bpe", "123"), ["123"]);
    assert.deepEqual(words("smollm", "  1"), ["ĠĠ", "1"]);
    assert.deepEqual(words("gpt-2", "  1"), ["Ġ", "Ġ1"]);
    assert.deepEqual(words("qwen2", "  ab"), ["Ġ", "Ġ", "ab"]);
  });

  it("refuses what it cannot encode as llama.cpp does", () => {
    refuses(() => tinyTokenizer({ model: "llama" }), "unsupported-model", "tokenizer.ggml.model");
    refuses(() => tinyTokenizer({ pre: "default" }), "unsupported-model", "tokenizer.ggml.pre");
  });

  it("refuses metadata that contradicts itself", () => {
    const { tokens, tokenTypes } = tinySource();
    refuses(() => tinyTokenizer({ tokens: [], tokenTypes: [] }), "invalid-model", "tokenizer.ggml.tokens");
    refuses(
      () => tinyTokenizer({ tokens: [...tokens, "a"], tokenTypes: [...tokenTypes, 1] }),
      "invalid-model",
      "tokenizer.ggml.tokens",
    );
    refuses(() => tinyTokenizer({ tokenTypes: [1] }), "invalid-model", "tokenizer.ggml.token_type");
    refuses(() => tinyTokenizer({ bosId: 1_000_000 }), "invalid-model", "tokenizer.ggml.bos_token_id");
    for (const merge of ["", "a", "a ", "a b c"])
      refuses(() => tinyTokenizer({ merges: [merge] }), "invalid-model", "tokenizer.ggml.merges");
  });
});

describe("a tokenizer made in steps", () => {
  it("is the one made at once", async () => {
    const source = tinySource();
    const steps = await Tokenizer.create(source);
    const once = new Tokenizer(source);
    assert.equal(steps.hash, once.hash);
    const text =
      "function add(left, right) { return left + right; } // the <|im_start|> of it, größer \u4f60\u597d\n\t  x";
    assert.deepEqual([...steps.encode(text)], [...once.encode(text)]);
    assert.deepEqual([...steps.encodeTemplate(text)], [...once.encodeTemplate(text)]);
  });

  it("is the one made at once for a real vocabulary too", async () => {
    const { tokenizer } = await readGguf(await fetchedModel("smollm2-135m"));
    const steps = await Tokenizer.create(tokenizer);
    const once = new Tokenizer(tokenizer);
    const text = readFileSync(import.meta.filename, "utf8");
    assert.deepEqual([...steps.encode(text)], [...once.encode(text)]);
  });
});
