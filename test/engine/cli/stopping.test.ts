// Ctrl-C, a killed engine, a killed client: what runs stops within a second, says so, and leaves no process behind.

import assert from "node:assert/strict";
import { isAlive, objects, Place, processes, type Running, smallModel, sourceText } from "./quire.ts";

const soon = 1000;

/** Waits until none of the processes lives; fails after `ms`. */
async function gone(pids: readonly number[], ms: number): Promise<void> {
  const until = performance.now() + ms;
  while (pids.some(isAlive)) {
    assert.ok(performance.now() < until, `still there after ${ms} ms: ${pids.filter(isAlive).join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("stopping", function () {
  this.timeout(120_000);
  const place = new Place();
  let root = "";

  before(async function () {
    if (process.platform === "win32") this.skip(); // a signal there ends a process without asking it
    await place.prepare();
    const files = Array.from({ length: 12 }, (_, index) => [`src/m${index}.js`, sourceText(index, 6)] as const);
    root = place.workspace("long", Object.fromEntries(files));
  });
  after(() => place.dispose());

  const start = (...more: string[]): Running =>
    place.start(["ask", "What is kept?", "--root", root, "--model", smallModel, "--page-budget", "dense", ...more]);

  /** Started and in the middle of reading, with the engine's process. */
  async function reading(): Promise<{ running: Running; engine: number }> {
    const running = start("--json");
    await running.says(/Reading: \d+/);
    const [engine] = processes({ parent: running.child.pid ?? 0 });
    assert.ok(engine !== undefined, "the engine is a child of the client");
    return { running, engine };
  }

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`${signal} while reading ends with status 130 within a second`, async () => {
      const { running, engine } = await reading();
      const asked = performance.now();
      running.child.kill(signal);
      const outcome = await running.ended;
      const ms = performance.now() - asked;
      assert.equal(outcome.status, 130, outcome.err);
      assert.ok(ms < soon, `${ms.toFixed(0)} ms`);
      assert.match(outcome.out, /^\{"error":\{"code":"cancelled"/);
      assert.match(outcome.err, /quire: Stopped\./);
      await gone([engine], soon);
    });
  }

  it("SIGINT while it answers ends with what was answered, and status 130", async () => {
    const small = place.workspace("small", { "a.js": sourceText(1, 2) });
    const running = place.start(
      ["ask", "Count to a thousand.", "--root", small, "--model", smallModel, "--max-tokens", "4000"].concat([
        "--temperature",
        "1",
        "--seed",
        "3",
      ]),
    );
    await new Promise<void>((resolve) => {
      running.child.stdout.once("data", () => resolve());
      void running.ended.then(() => resolve());
    });
    const [engine] = processes({ parent: running.child.pid ?? 0 });
    const asked = performance.now();
    running.child.kill("SIGINT");
    const outcome = await running.ended;
    assert.equal(outcome.status, 130, outcome.err);
    assert.ok(performance.now() - asked < soon);
    assert.match(outcome.out, /\(Stopped\.\)/);
    await gone(engine === undefined ? [] : [engine], soon);
  });

  it("SIGINT before the engine has said anything ends as well", async () => {
    // A token cancelled before its request was sent never reached the engine, which then answered to the end.
    for (const wait of [30, 200, 300, 400, 600]) {
      const running = start("--json");
      await new Promise((resolve) => setTimeout(resolve, wait));
      const asked = performance.now();
      running.child.kill("SIGINT");
      const outcome = await running.ended;
      // Node itself dies of the signal while it loads; the client's own handler gives 130.
      assert.ok(outcome.status === 130 || outcome.signal === "SIGINT", `${outcome.status} ${outcome.signal}`);
      assert.ok(performance.now() - asked < 2 * soon);
    }
  });

  it("an engine that is killed: said, status 1, one object", async () => {
    const { running, engine } = await reading();
    process.kill(engine, "SIGKILL");
    const outcome = await running.ended;
    assert.equal(outcome.status, 1);
    assert.match(outcome.err, /The engine ended unexpectedly \(SIGKILL\)\.\n.*lower the token budget/);
    assert.equal((objects(outcome)[0]?.error as { code: string } | undefined)?.code, "internal");
  });

  it("a client that is killed takes its engine with it", async () => {
    const { running, engine } = await reading();
    running.child.kill("SIGKILL");
    await running.ended;
    await gone([engine], 2 * soon);
  });

  it("after a stop the next question finds everything in order", async () => {
    const { running } = await reading();
    running.child.kill("SIGINT");
    await running.ended;
    const small = place.workspace("after", { "a.js": sourceText(1, 2) });
    const outcome = await place.run(["ask", "What?", "--root", small, "--model", smallModel, "--max-tokens", "4"]);
    assert.equal(outcome.status, 0, outcome.err);
  });
});
