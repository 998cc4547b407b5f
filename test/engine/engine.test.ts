// engine.test.ts — what an engine gives back while nobody asks, and what each client is told of it: nothing.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Engine } from "../../engine/engine.ts";
import { Place, sourceText } from "./cli/quire.ts";
import { askOf } from "./engine-process.ts";

const nobody = (): void => {};
const events = { stage: nobody, text: nobody, notice: nobody, log: nobody, planned: nobody, fetching: nobody };
const never = new AbortController().signal;

describe("an engine that nobody asks", function () {
  this.timeout(300_000);
  const place = new Place();
  const homeBefore = process.env.QUIRE_HOME;
  before(async () => {
    await place.prepare();
    process.env.QUIRE_HOME = place.home;
  });
  after(() => {
    if (homeBefore === undefined) delete process.env.QUIRE_HOME;
    else process.env.QUIRE_HOME = homeBefore;
    place.dispose();
  });

  it("gives the memory of one kind of backend back, the other's not, and answers the next question", async () => {
    const root = place.workspace("w", { "a.js": sourceText(1, 1) });
    const params = askOf(root, "What does add1Entry0 return?", { maxTokens: 2 });
    // The processor stands for the GPU, which this machine may not have.
    const engine = new Engine({ shared: false, idleMs: { cpu: 20 } });
    const client = engine.join("a test", events);
    const first = await client.ask(params, never);
    const held = engine.status();
    assert.deepEqual([held.models.length, held.memories.length], [1, 1]);
    assert.equal(held.memories[0]?.tokens, first.meter.memoryTokens);
    while (engine.status().models.length > 0) await sleep(5);
    assert.deepEqual(engine.status().memories, [], "a memory goes with its model");
    const second = await client.ask(params, never);
    assert.equal(second.answer, first.answer);
    engine.left(client);
    engine.dispose();

    const other = new Engine({ shared: false, idleMs: { cuda: 0 } });
    const stays = other.join("a test", events);
    await stays.ask(params, never);
    await sleep(50);
    assert.equal(other.status().models.length, 1);
    // What was read stays for who comes back; deleting is heard by all.
    other.left(stays);
    assert.equal(other.status().memories.length, 1);
    await other.forgetMemories(false);
    assert.deepEqual([other.status().memories.length, other.status().models.length], [0, 1]);
    other.dispose();
    assert.equal(other.holdsSomething, false);
  });
});
