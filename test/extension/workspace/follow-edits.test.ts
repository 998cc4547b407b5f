// follow-edits.test.ts — when memory follows edits: after the last of them, one time at once.

import assert from "node:assert/strict";
import { FollowEdits } from "../../../extension/workspace/follow-edits.ts";

describe("following edits", () => {
  const running: FollowEdits[] = [];
  afterEach(() => {
    for (const edits of running.splice(0)) edits.dispose();
  });

  /** Edits, the calls of the engine so far, and an end for the one in work. */
  function following(afterSave: number, afterTyping: number) {
    const calls: (() => void)[] = [];
    let called = (): void => {};
    const follow = (): Promise<void> =>
      new Promise((resolve) => {
        calls.push(resolve);
        called();
      });
    const edits = new FollowEdits({ follow, afterSave, afterTyping });
    running.push(edits);
    const nextCall = (): Promise<void> =>
      new Promise((resolve) => {
        called = resolve;
      });
    return { edits, calls, nextCall };
  }

  it("asks once for a burst of savings", async () => {
    const { edits, calls, nextCall } = following(20, 60_000);
    const call = nextCall();
    for (let at = 0; at < 10; at++) edits.saved();
    await call;
    assert.equal(calls.length, 1);
  });

  it("waits for the end of typing, whatever was saved before", async () => {
    const { edits, calls, nextCall } = following(5, 40);
    const call = nextCall();
    const began = performance.now();
    edits.saved();
    edits.typed();
    await call;
    assert.ok(performance.now() - began >= 35, "it was asked in the middle of typing");
    assert.equal(calls.length, 1);
  });

  it("asks again only after the engine has done what it was asked", async () => {
    const { edits, calls, nextCall } = following(5, 5);
    const first = nextCall();
    edits.saved();
    await first;
    const second = nextCall();
    edits.saved();
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(calls.length, 1);
    calls[0]?.();
    await second;
    assert.equal(calls.length, 2);
  });

  it("asks nothing after its end", async () => {
    const { edits, calls } = following(5, 5);
    edits.saved();
    edits.dispose();
    edits.typed();
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(calls.length, 0);
  });
});
