// frames.ts — lets the messages of a stream through, up to a size. JSON-RPC's own reader takes whatever length a peer names.
//
// In: bytes of `Content-Length: n`, an empty line and n bytes, again and again. Out: the same bytes; or an error at the first header that is
// none or names too much, and nothing of that message.

import { Transform, type TransformCallback } from "node:stream";

/** Bytes of one message: the unsaved text of many editors fits. */
export const largestMessage = 64 * 1024 * 1024;
const largestHeader = 1024;
const between = "\r\n\r\n";

export class Frames extends Transform {
  readonly #largest: number;
  #header = Buffer.alloc(0);
  /** Bytes of the message under way that are still to come. */
  #left = 0;

  constructor(largest = largestMessage) {
    super();
    this.#largest = largest;
  }

  override _transform(piece: Buffer, _encoding: string, done: TransformCallback): void {
    let rest = piece;
    while (rest.length > 0) {
      if (this.#left > 0) {
        const body = rest.subarray(0, this.#left);
        this.#left -= body.length;
        rest = rest.subarray(body.length);
        this.push(body);
        continue;
      }
      const seen = this.#header.length;
      this.#header = Buffer.concat([this.#header, rest.subarray(0, largestHeader)]);
      const end = this.#header.indexOf(between);
      if (end < 0) {
        if (this.#header.length >= largestHeader) return void done(new Error("no header of a message"));
        rest = rest.subarray(this.#header.length - seen);
        continue;
      }
      const header = this.#header.subarray(0, end + between.length);
      const length = /^Content-Length: (\d{1,15})\s*$/im.exec(header.toString("latin1"))?.[1];
      if (length === undefined) return void done(new Error("no header of a message"));
      if (Number(length) > this.#largest) {
        return void done(new Error(`a message of ${length} bytes; at most ${this.#largest} are taken`));
      }
      this.#left = Number(length);
      this.#header = Buffer.alloc(0);
      rest = rest.subarray(header.length - seen);
      this.push(Buffer.from(header));
    }
    done();
  }
}
