// Stop at every stage of an ask, over JSON-RPC: the engine answers "cancelled" in time and takes the next question. In CI the machine
// may be busy with other things; what is measured then is shown, and the limit is the one that users are told.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { AskParams, AskResult } from "../../engine/protocol.ts";
import { Place, sourceText } from "./cli/quire.ts";
import { type Asking, askOf, EngineProcess, failureOf, type SeenEvent } from "./engine-process.ts";

/** Milliseconds from the stop to the reply. */
const limitMs = 300;

describe("stopping an ask", function () {
  this.timeout(300_000);
  const place = new Place();
  let small = "";
  let large = "";
  let engine: EngineProcess;
  const off = { QUIRE_MEMORY: "off" };

  before(async () => {
    await place.prepare();
    small = place.workspace("small", { "src/a.js": sourceText(1, 2) });
    const files = Array.from({ length: 1500 }, (_, index) => [`src/file-${index}.js`, sourceText(index, 4)] as const);
    large = place.workspace("large", Object.fromEntries(files));
  });
  after(() => place.dispose());
  afterEach(() => engine.dispose());

  const isStage =
    (stage: string, id = "1") =>
    ({ method, params }: SeenEvent): boolean =>
      method === "stage" && params.stage === stage && params.id === id;

  /** Stops when the event comes, and returns the milliseconds until the reply and what it was. */
  async function stopAt(asking: Asking, event: (seen: SeenEvent) => boolean): Promise<AskResult["stop"] | string> {
    await Promise.race([engine.seen(event), asking.result]);
    const began = performance.now();
    asking.stop();
    const outcome = await asking.result.then(
      (result) => result.stop,
      async () => (await failureOf(asking)).code,
    );
    const ms = performance.now() - began;
    assert.ok(ms < limitMs, `${ms.toFixed(0)} ms until the reply`);
    return outcome;
  }

  /** The next question is begun at once and answered. */
  async function isFree(root = small): Promise<void> {
    const began = performance.now();
    const next = engine.ask(askOf(root, "What does add1Entry1 return?", { id: "next", maxTokens: 2 }));
    await engine.seen(isStage("collecting", "next"));
    const ms = performance.now() - began;
    assert.ok(ms < limitMs, `${ms.toFixed(0)} ms until the next one began`);
    assert.equal((await next.result).stop, "length");
    assert.ok(!engine.stages("next").includes("waiting"));
  }

  it("right behind the question, before it is dispatched (it was lost: such a token of vscode-jsonrpc never fires)", async () => {
    engine = await EngineProcess.start(place.home, off);
    for (let round = 0; round < 20; round++) {
      const asking = engine.ask(askOf(small, "What?", { id: String(round) }));
      asking.stop();
      assert.equal((await failureOf(asking)).code, "cancelled");
    }
    await isFree();
  });

  it("while git is slow", async () => {
    const tools = path.join(place.folder, "slow");
    mkdirSync(tools, { recursive: true });
    writeFileSync(path.join(tools, "git"), "#!/bin/sh\nexec sleep 20\n");
    chmodSync(path.join(tools, "git"), 0o755);
    engine = await EngineProcess.start(place.home, { ...off, PATH: `${tools}:${process.env.PATH}` });
    const asking = engine.ask(askOf(small, "What?"));
    assert.equal(await stopAt(asking, isStage("collecting")), "cancelled");
  });

  it("while a model is opened, and the next one takes what was opened", async () => {
    engine = await EngineProcess.start(place.home, off);
    const asking = engine.ask(askOf(small, "What?"));
    assert.equal(await stopAt(asking, isStage("opening model")), "cancelled");
    await isFree();
    const opened = engine.events.filter(
      ({ method, params }) => method === "log" && /opened in/.test(String(params.message)),
    );
    assert.equal(opened.length, 1, "it is opened once");
  });

  for (const stage of ["collecting", "tokenizing", "reading", "looking up", "reading question"]) {
    it(`of many files while ${stage}`, async () => {
      engine = await EngineProcess.start(place.home, off);
      const first = engine.ask(askOf(small, "What?", { id: "warm", maxTokens: 1 }));
      await first.result;
      const tokenBudget = stage === "tokenizing" ? 24_000 : 1024;
      const params: AskParams = askOf(large, "What does add7Entry1 of table 7 return?");

      const asking = engine.ask({ ...params, settings: { ...params.settings, tokenBudget } });
      assert.equal(await stopAt(asking, isStage(stage)), "cancelled");
      await isFree();
    });
  }

  it("while it answers gives what was said", async () => {
    engine = await EngineProcess.start(place.home, off);
    const asking = engine.ask(askOf(small, "What does add1Entry1 return?", { maxTokens: 500 }));
    assert.equal(await stopAt(asking, ({ method }) => method === "text"), "cancelled");
    await isFree();
  });

  it("that waits for another ends at once, and the others go on in order", async () => {
    engine = await EngineProcess.start(place.home, off);
    const first = engine.ask(askOf(small, "What does add1Entry1 return?", { id: "first", maxTokens: 60 }));
    const second = engine.ask(askOf(small, "And?", { id: "second" }));
    const third = engine.ask(askOf(small, "Then?", { id: "third", maxTokens: 2 }));
    await engine.seen(isStage("waiting", "third"));
    assert.equal(await stopAt(second, isStage("waiting", "second")), "cancelled");
    assert.deepEqual(engine.stages("second"), ["waiting"]);
    assert.equal((await first.result).stop, "length");
    assert.ok(!engine.stages("first").includes("waiting"));
    assert.equal((await third.result).stop, "length");
    const ahead = engine.events.flatMap(({ params }) =>
      params.id === "third" && params.stage === "waiting" ? [params.ahead] : [],
    );
    assert.deepEqual(ahead, [2, 1], "it is told that one fewer is before it");
    const worked = engine.events.filter(({ method, params }) => method === "stage" && params.stage !== "waiting");
    const order = worked.map(({ params }) => String(params.id));
    assert.ok(order.lastIndexOf("first") < order.indexOf("third"), "one after another");
  });
});
