// `quire engine` and `quire doctor` on the engine that terminals share: it is shown, used by the next command, and ended.

import assert from "node:assert/strict";
import { isAlive, objects, Place, smallModel, sourceText } from "./quire.ts";

const shared = { QUIRE_SHARE: "on", QUIRE_MEMORY: "off" };

describe("the engine that terminals share", function () {
  this.timeout(300_000);
  const place = new Place();
  let root = "";
  before(async () => {
    await place.prepare();
    root = place.workspace("w", { "a.js": sourceText(1, 2) });
  });
  after(async () => {
    await place.run(["engine", "stop"], shared);
    place.dispose();
  });

  it("is used by the next command, which reads nothing again; shown by doctor; and stopped by name", async () => {
    const ask = (): ReturnType<Place["run"]> =>
      place.run(
        [
          "ask",
          "What does add1Entry1 return?",
          "--model",
          smallModel,
          "--root",
          root,
          "--token-budget",
          "2048",
          "--max-tokens",
          "4",
          "--json",
        ],
        shared,
      );
    const first = await ask();
    assert.equal(first.status, 0, first.err);
    const second = await ask();
    assert.equal(second.status, 0, second.err);
    const { stats } = objects(second)[0] as { stats: { prefilledTokens: number } };
    assert.ok(stats.prefilledTokens <= 1, `${stats.prefilledTokens} tokens read again`);

    const doctor = await place.run(["doctor", "--json"], shared);
    const { engines } = objects(doctor)[0] as { engines: { pid: number; memories: { roots: string[] }[] }[] };
    assert.equal(engines.length, 1, "to look starts none");
    assert.deepEqual(
      engines[0]?.memories.map(({ roots }) => roots),
      [[root]],
    );
    const status = await place.run(["engine"], shared);
    assert.match(status.out, new RegExp(`process ${engines[0]?.pid}`));
    assert.match(status.out, /used by a terminal/);
    assert.match(status.out, /model smollm2-135m on cpu/);

    const stopped = await place.run(["engine", "stop"], shared);
    assert.match(stopped.err, /The engine was stopped\./);
    const pid = engines[0]?.pid ?? 0;
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
    assert.match((await place.run(["engine"], shared)).out, /No engine runs\./);
  });

  it("goes on when the terminal is stopped with Ctrl-C", async () => {
    const asking = place.start(
      ["ask", "What?", "--model", smallModel, "--root", root, "--token-budget", "2048"],
      shared,
    );
    await asking.says(/Reading/);
    asking.child.kill("SIGINT");
    assert.equal((await asking.ended).status, 130);
    const [engine] = objects(await place.run(["engine", "--json"], shared))[0] as unknown as { questions: number }[];
    assert.equal(engine?.questions, 0, "what it asked is stopped");
  });
});
