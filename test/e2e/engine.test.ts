// What a user changes or breaks while the editor runs: the token budget, the engine's process; and what the editor pays for Quire.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { dist } from "../../scripts/layout.mjs";
import { answerTime, testTime, textOf } from "./panel.ts";
import { cliProgress } from "./repositories.ts";
import { onStage } from "./stage.ts";
import { until } from "./until.ts";

describe("settings and the engine's process", function () {
  this.timeout(testTime);
  const stage = onStage({ workspace: cliProgress, settings: { "quire.answer.maxTokens": 24 } });

  it("costs the editor at most 30 ms at its start and 300 KB of code", async () => {
    const { editor } = stage();
    const said = await until(
      "the line of its activation",
      () => /Activated in ([\d.]+) ms/.exec(editor.quireLog()) ?? false,
    );
    assert.ok(Number(said[1]) <= 30, said[0]);
    const code = ["extension.cjs", "parts.cjs"].map((name) => statSync(path.join(dist, name)).size);
    assert.ok(code.reduce((sum, bytes) => sum + bytes, 0) <= 300 * 1024, `${code} bytes`);
    assert.deepEqual(editor.engines(), [], "no engine runs before a question");
  });

  it("reads by a token budget of the settings page with the next question, and says its cost", async () => {
    const { workbench, editor } = stage();
    await workbench.run("Quire: Ask About This Workspace");
    await workbench.answerInput("What does formatTime do?");
    const panel = await stage().panel();
    await panel.ended();
    assert.match(await panel.reading(), /of 2,000 tokens of the budget/);
    const isKept = (): boolean => /"quire.context.tokenBudget": "?600"?/.test(editor.machineSettings());
    await workbench.setOnSettingsPage("quire.context.tokenBudget", "600", isKept);
    await workbench.notifications.filter({ hasText: /Quire would read .*budget: 600 tokens/ }).waitFor();
    await stage().picture("6-cost-of-a-budget");
    await panel.ask("What does formatValue do?");
    await panel.ended();
    assert.match(await panel.reading(), /of 600 tokens of the budget/);
    const [memory] = await panel.meter();
    assert.ok(memory <= 600, `${memory} tokens in memory`);
  });

  it("is the terminal's engine too, with the memory of the window's workspace", async () => {
    const { editor, workspace } = stage();
    const [engine] = editor.engines();
    const env = { PATH: process.env.PATH, HOME: editor.folder, QUIRE_HOME: editor.home };
    const terminal = spawnSync(process.execPath, [editor.terminal(), "engine", "--json"], { env, encoding: "utf8" });
    const said: unknown = JSON.parse(terminal.stdout);
    const [running] = z
      .array(
        z.object({
          pid: z.number(),
          clients: z.array(z.object({ name: z.string() })),
          memories: z.array(z.object({ roots: z.array(z.string()) })),
        }),
      )
      .length(1)
      .parse(said);
    assert.equal(running?.pid, engine);
    assert.ok(running?.clients.some(({ name }) => name.startsWith("a window of the editor")));
    assert.deepEqual(
      running?.memories.map(({ roots }) => roots),
      [[workspace]],
    );
    // What a terminal would ask is asked of the same engine.
    const doctor = ["models", "list", "--json"];
    const before = editor.engines();
    assert.equal(spawnSync(process.execPath, [editor.terminal(), ...doctor], { env }).status, 0);
    assert.deepEqual(editor.engines(), before, "no engine was started for it");
  });

  it("says once that the engine ended, and answers the next question with a new one", async () => {
    const { workbench, editor } = stage();
    const [engine = 0, ...others] = editor.engines();
    assert.ok(engine > 0 && others.length === 0, "one engine runs");
    process.kill(engine, "SIGKILL");
    const message = workbench.notifications.filter({ hasText: /starts again by itself/ });
    await until("one message", async () => (await message.count()) === 1);
    const panel = await stage().panel();
    await panel.ask("What does formatBar do?");
    await panel.ended();
    assert.notEqual(await panel.answer(), "");
    assert.ok((await message.count()) <= 1, "it is not said again");
    assert.notDeepEqual(editor.engines(), [engine]);
  });

  it("fails a question whose engine is killed, says the next step, and answers when asked again", async () => {
    const { editor } = stage();
    const panel = await stage().panel();
    await panel.ask("How does the progress bar show the time that is left, step by step?");
    await until("progress", async () => (await panel.lastTurn.locator(".progress, .writing").count()) > 0);
    for (const engine of editor.engines()) process.kill(engine, "SIGKILL");
    const failure = panel.lastTurn.locator(".note-error");
    await failure.waitFor();
    await stage().picture("7-engine-ended");
    assert.match(await textOf(failure), /Ask again/i);
    await failure.getByRole("button", { name: "Ask again" }).click();
    await panel.lastTurn.locator(".turn-buttons").waitFor({ timeout: answerTime });
    assert.notEqual(await panel.answer(), "");
  });

  it("leaves no engine behind when the window is closed", async () => {
    const { workbench, editor } = stage();
    assert.equal(editor.engines().length, 1);
    await workbench.page.goto("about:blank");
    await until("the end of the engine", () => editor.engines().length === 0);
  });
});
