// stay.test.ts — when an engine leaves: after its last client, as long as that one wished, and soon where it holds nothing.

import assert from "node:assert/strict";
import { Stay } from "../../../engine/share/stay.ts";

const tick = 1 / 60_000; // minutes of a millisecond

/** Resolves with the milliseconds until it leaves. */
function leaving(use: (stay: Stay) => void, holds = true): Promise<number> {
  const began = performance.now();
  return new Promise((resolve) =>
    use(
      new Stay(
        () => holds,
        () => resolve(performance.now() - began),
      ),
    ),
  );
}

describe("an engine", () => {
  it("stays while a client is there, and then as long as the last one wished", async () => {
    let two = 0;
    const ms = await leaving((stay) => {
      stay.came();
      stay.came();
      stay.left(0);
      setTimeout(() => {
        two = 1;
        stay.left(30 * tick);
      }, 30);
    });
    assert.equal(two, 1, "the first one's going did not end it");
    assert.ok(ms >= 59, `${ms} ms`);
  });

  it("is not kept longer by who only looked", async () => {
    const ms = await leaving((stay) => {
      stay.came();
      stay.left(50 * tick);
      stay.came();
      stay.left(undefined);
    });
    assert.ok(ms >= 49 && ms < 2_000, `${ms} ms`);
  });

  it("that holds nothing leaves soon, whatever was wished", async () => {
    const ms = await leaving((stay) => {
      stay.came();
      stay.left(60);
    }, false);
    assert.ok(ms < 10_000, `${ms} ms`);
  });
});
