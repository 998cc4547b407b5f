// ask.test.ts — memory kept on disk, from end to end on a real model of 98 MB through the built client: a second process reads nothing
// again and answers the same, after edits, kills and on a full disk too.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { objects, Place, processes, smallModel, sourceText } from "../cli/quire.ts";
import { randomFrom } from "../models/gguf-writer.ts";

interface Asked {
  answer: string;
  documents: { path: string; tokens: number }[];
  stats: { reusedTokens: number; prefilledTokens: number; promptTokens: number };
}

describe("quire ask with memory kept on disk", function () {
  this.timeout(600_000);
  const place = new Place();
  let root = "";

  before(async () => {
    await place.prepare();
    root = place.workspace("repository", {
      "src/a.js": sourceText(1, 3),
      "src/b.js": sourceText(2, 4),
      "src/c.js": sourceText(3, 2),
    });
  });
  after(() => place.dispose());

  const args = (): string[] => [
    ...["ask", "What does add2Entry3 return?", "--root", root],
    ...["--model", smallModel, "--json", "--max-tokens", "24"],
  ];

  async function ask(env: Record<string, string>): Promise<Asked & { err: string }> {
    const outcome = await place.run(args(), env);
    assert.equal(outcome.status, 0, outcome.err);
    return { ...(objects(outcome)[0] as unknown as Asked), err: outcome.err };
  }
  const on = { QUIRE_MEMORY: "on" };
  const off = { QUIRE_MEMORY: "off" };
  const repositoryTokens = (asked: Asked): number => asked.documents.reduce((sum, { tokens }) => sum + tokens, 0);

  it("prefills 0 repository tokens the second time and gives the cold answer", async () => {
    const cold = await ask(off);
    const first = await ask(on);
    const second = await ask(on);
    assert.equal(cold.stats.reusedTokens, 0);
    assert.equal(first.stats.reusedTokens, 0);
    assert.equal(second.stats.reusedTokens, repositoryTokens(second));
    assert.equal(second.stats.prefilledTokens, second.stats.promptTokens - repositoryTokens(second));
    assert.deepEqual([first.answer, second.answer], [cold.answer, cold.answer]);
  });

  it("encodes what was edited since, and the next process not even that", async () => {
    await ask(on);
    writeFileSync(path.join(root, "src", "b.js"), `${sourceText(2, 4)}\n// edited\n`);
    const edited = await ask(on);
    const { reusedTokens } = edited.stats;
    assert.ok(reusedTokens > 0 && reusedTokens < repositoryTokens(edited), `${reusedTokens} reused`);
    const again = await ask(on);
    assert.equal(again.stats.reusedTokens, repositoryTokens(again));
    assert.equal(again.answer, edited.answer);
  });

  it("gives the cold answer after the engine was killed at any moment", async () => {
    const cold = await ask(off);
    const random = randomFrom(8);
    for (let round = 0; round < 3; round++) {
      const home = path.join(place.folder, `killed-${round}`);
      mkdirSync(home, { mode: 0o700 });
      execFileSync("ln", ["-s", path.join(place.home, "models"), path.join(home, "models")]);
      const env = { ...on, QUIRE_HOME: home };
      const running = place.start(args(), env);
      await Promise.race([running.says(/Reading/), running.ended]).catch(() => {});
      await sleep(random() * 4000);
      for (const engine of processes({ parent: running.child.pid ?? -1 })) process.kill(engine, "SIGKILL");
      await running.ended;
      const after = await ask(env);
      assert.equal(after.answer, cold.answer, `round ${round}`);
      assert.equal((await ask(env)).stats.reusedTokens, repositoryTokens(after), `round ${round}`);
    }
  });

  it("says that the disk is full, and the answer comes", async function () {
    const home = path.join(place.folder, "full");
    mkdirSync(path.join(home, "memories"), { recursive: true, mode: 0o700 });
    execFileSync("ln", ["-s", path.join(place.home, "models"), path.join(home, "models")]);
    const disk = path.join(home, "memories");
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "none", disk], { stdio: "ignore" });
    } catch {
      console.warn("      SKIPPED: no small disk can be mounted here, so a full one is not tested");
      return this.skip();
    }
    try {
      const cold = await ask(off);
      const asked = await ask({ ...on, QUIRE_HOME: home });
      assert.match(asked.err, /The memory of this repository is not saved: disk full/);
      assert.equal(asked.answer, cold.answer);
      assert.deepEqual(
        readdirSync(disk, { recursive: true }).filter((name) => String(name).endsWith(".tmp")),
        [],
      );
      assert.equal((await ask({ ...on, QUIRE_HOME: home })).answer, cold.answer);
    } finally {
      execFileSync("umount", [disk]);
    }
  });
});
