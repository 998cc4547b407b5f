// turns.test.ts — one after another: the order, who is told what about it, and how a wait ends.

import assert from "node:assert/strict";
import type { QuireError } from "../../engine/errors.ts";
import { Turns } from "../../engine/turns.ts";

const never = new AbortController().signal;
const nobody = (): void => {};

/** Work that ends when it is told to. */
function held(): { work: () => Promise<string>; end: (result: string) => void } {
  let end: (result: string) => void = nobody;
  const done = new Promise<string>((resolve) => {
    end = resolve;
  });
  return { work: () => done, end };
}

describe("turns", () => {
  it("are taken in the order of asking, and each hears how many are before it, again when it gets fewer", async () => {
    const turns = new Turns();
    const [a, b] = [held(), held()];
    const heard: string[] = [];
    const say = (name: string) => (ahead: number) => void heard.push(`${name}${ahead}`);
    const first = turns.take(never, say("a"), a.work);
    const second = turns.take(never, say("b"), b.work);
    const third = turns.take(never, say("c"), async () => "c");
    assert.deepEqual(heard, ["b1", "c2"]);
    assert.equal(turns.asked, 3);
    a.end("a");
    assert.equal(await first, "a");
    assert.deepEqual(heard, ["b1", "c2", "c1"]);
    b.end("b");
    assert.deepEqual(await Promise.all([second, third]), ["b", "c"]);
    assert.equal(turns.asked, 0);
  });

  it("that are given up let those behind them pass, in order", async () => {
    const turns = new Turns();
    const a = held();
    const order: string[] = [];
    const stopper = new AbortController();
    const first = turns.take(never, nobody, a.work).then(() => order.push("a"));
    const given = turns.take(stopper.signal, nobody, async () => order.push("b"));
    const third = turns.take(never, nobody, async () => order.push("c"));
    stopper.abort();
    await assert.rejects(given, (error: QuireError) => error.code === "cancelled");
    a.end("");
    await Promise.all([first, third]);
    assert.deepEqual(order, ["a", "c"]);
  });

  it("go on after a failure", async () => {
    const turns = new Turns();
    await assert.rejects(turns.take(never, nobody, () => Promise.reject(new Error("no"))));
    assert.equal(await turns.take(never, nobody, async () => "yes"), "yes");
  });

  it("that are quiet wait too, and nobody is told to wait for them", async () => {
    const turns = new Turns();
    const quiet = held();
    const heard: number[] = [];
    const background = turns.quietly(never, quiet.work);
    const asked = turns.take(
      never,
      (ahead) => heard.push(ahead),
      async () => "asked",
    );
    assert.deepEqual([turns.asked, heard], [1, []]);
    quiet.end("quiet");
    assert.deepEqual(await Promise.all([background, asked]), ["quiet", "asked"]);
  });
});
