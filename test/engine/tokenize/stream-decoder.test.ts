// Text that comes a few tokens at a time.

import assert from "node:assert/strict";
import fc from "fast-check";
import { StreamDecoder } from "../../../engine/tokenize/stream-decoder.ts";

/** A decoder whose tokens are the bytes; 256 is a control token. */
const byteDecoder = (): StreamDecoder => new StreamDecoder((id) => (id < 256 ? Uint8Array.of(id) : new Uint8Array(0)));

describe("StreamDecoder", () => {
  it("holds an unfinished character back until it is whole", () => {
    const decoder = byteDecoder();
    const given = [...Buffer.from("é😀")].map((byte) => decoder.push([byte]));
    assert.deepEqual(given, ["", "é", "", "", "", "😀"]);
    assert.equal(decoder.end(), "");
  });

  it("gives U+FFFD for what is no UTF-8, and for an unfinished character at the end", () => {
    const decoder = byteDecoder();
    assert.equal(decoder.push([0x61, 0xff, 0x62]), "a\ufffdb");
    assert.equal(decoder.push([0xf0, 0x9f]), "");
    assert.equal(decoder.end(), "\ufffd");
    assert.equal(decoder.push([0x61]), "a");
  });

  it("gives no text for control tokens, also inside a character", () => {
    const [first = 0, second = 0] = Buffer.from("é");
    assert.equal(byteDecoder().push([256, first, 256, second]), "é");
  });

  it("keeps byte order marks", () => {
    assert.equal(byteDecoder().push(Buffer.from("\ufeffa")), "\ufeffa");
  });

  it("gives the same text however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(40), (bytes, at) => {
        const decoder = byteDecoder();
        const parts = decoder.push(bytes.slice(0, at)) + decoder.push(bytes.slice(at)) + decoder.end();
        assert.equal(parts, new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
      }),
    );
  });
});
