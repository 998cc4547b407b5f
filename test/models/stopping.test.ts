// stopping.test.ts — a stop while a large model is opened: it took 684 ms, since steps of reading its vocabulary held the event loop.

import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { Place, sourceText } from "../engine/cli/quire.ts";
import { askOf, EngineProcess, failureOf } from "../engine/engine-process.ts";
import { fetchedModel } from "./fetched-model.ts";

/** Milliseconds from the stop to the reply. */
const limitMs = 300;
/** Milliseconds after the beginning of the opening, which takes a second or more. */
const moments = [0, 50, 100, 150, 200, 300, 400, 500, 600, 800];

describe("stopping a question while the 491 MB model is opened", function () {
  this.timeout(300_000);
  const place = new Place();
  let root = "";
  let model = "";
  before(async () => {
    await place.prepare();
    model = await fetchedModel("qwen2.5-coder-0.5b");
    root = place.workspace("small", { "src/a.js": sourceText(1, 2) });
  });
  after(() => place.dispose());

  it("is answered in time at every moment of it", async () => {
    const took: number[] = [];
    for (const moment of moments) {
      const engine = await EngineProcess.start(place.home, { QUIRE_MEMORY: "off" });
      try {
        const params = askOf(root, "What?");
        const asking = engine.ask({ ...params, settings: { ...params.settings, model } });
        asking.result.catch(() => {});
        await engine.seen(({ method, params: { stage } }) => method === "stage" && stage === "opening model");
        await wait(moment);
        const began = performance.now();
        asking.stop();
        assert.equal((await failureOf(asking)).code, "cancelled");
        took.push(performance.now() - began);
      } finally {
        await engine.dispose();
      }
    }
    console.log(`      ${took.map((ms) => ms.toFixed(0)).join(", ")} ms`);
    assert.ok(Math.max(...took) < limitMs, `${Math.max(...took).toFixed(0)} ms until the reply`);
  });
});
