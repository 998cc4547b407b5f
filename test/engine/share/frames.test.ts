// frames.test.ts — messages pass unchanged however they are cut; what is none, or too large, does not.

import assert from "node:assert/strict";
import { Frames } from "../../../engine/share/frames.ts";

const message = (body: string): Buffer => Buffer.from(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);

/** What comes out of pieces, and the error if there is one. */
async function through(pieces: readonly Buffer[], largest: number): Promise<{ out: string; error: string }> {
  const frames = new Frames(largest);
  const out: Buffer[] = [];
  let error = "";
  frames
    .on("data", (piece: Buffer) => out.push(piece))
    .on("error", (cause) => {
      error = cause.message;
    });
  const closed = new Promise((resolve) => frames.on("close", resolve));
  for (const piece of pieces) frames.write(piece);
  frames.end();
  await closed;
  return { out: Buffer.concat(out).toString(), error };
}

describe("messages of a client", () => {
  it("pass unchanged, wherever they are cut", async () => {
    const whole = Buffer.concat([message('{"a":1}'), message(""), message("ä".repeat(40)), message("x".repeat(2_000))]);
    for (const size of [1, 2, 7, 19, 64, whole.length]) {
      const pieces: Buffer[] = [];
      for (let from = 0; from < whole.length; from += size) pieces.push(whole.subarray(from, from + size));
      assert.deepEqual(await through(pieces, 4_000), { out: whole.toString(), error: "" }, `${size} bytes at a time`);
    }
  });

  it("with another header besides pass too", async () => {
    const text = "Content-Type: application/vscode-jsonrpc\r\nContent-Length: 2\r\n\r\n{}";
    assert.deepEqual(await through([Buffer.from(text)], 10), { out: text, error: "" });
  });

  const refused: [string, string, RegExp][] = [
    ["larger than is taken", "Content-Length: 11\r\n\r\n", /message of 11 bytes; at most 10/],
    ["of a size beyond all numbers", "Content-Length: 99999999999999999999\r\n\r\n", /no header/],
    ["of a negative size", "Content-Length: -1\r\n\r\n", /no header/],
    ["without a size", "X: 1\r\n\r\n", /no header/],
    ["that never begin", "x".repeat(2_000), /no header/],
    ["of another protocol", `GET / HTTP/1.1\r\nHost: x\r\n\r\n`, /no header/],
  ];
  for (const [what, text, error] of refused) {
    it(`${what} are refused, and nothing of them passes`, async () => {
      const before = message("{}");
      const passed = await through([before, Buffer.from(text), message("{}")], 10);
      assert.match(passed.error, error);
      assert.ok(before.toString().startsWith(passed.out), passed.out);
    });
  }
});
