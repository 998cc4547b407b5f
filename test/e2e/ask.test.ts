// A question from the palette to a cited answer in the panel, in a real editor with the packaged extension and a real model.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { answerTime, type Panel, testTime, textOf } from "./panel.ts";
import { cliProgress } from "./repositories.ts";
import { onStage } from "./stage.ts";
import { until } from "./until.ts";

describe("asking in the editor", function () {
  this.timeout(testTime);
  const stage = onStage({ workspace: cliProgress });

  it("goes from the palette through the question box to a streamed answer, and shows progress before it", async () => {
    const { workbench } = stage();
    await workbench.run("Quire: Ask About This Workspace");
    await workbench.answerInput("What does the function formatTime do?");
    const panel = await stage().panel();
    await panel.lastTurn.locator(".progress").waitFor();
    await stage().picture("1-progress");
    await panel.lastTurn.locator(".writing").waitFor({ timeout: answerTime });
    const early = await panel.answer();
    await stage().picture("2-writing");
    await panel.ended();
    const whole = await panel.answer();
    assert.ok(whole.length > early.length, "the answer grew while it was shown");
    assert.match(whole, /formatTime/);
    assert.ok((await panel.citations.count()) > 0, "it cites");
    assert.ok((await panel.lastTurn.locator("quire-markdown .md-citation").count()) > 0, "its text has the markers");
    await stage().picture("3-answered");
  });

  it("says what was read and left out, and how full the context is", async () => {
    const panel = await stage().panel();
    const reading = await panel.reading();
    assert.match(reading, /\d+ files?, [\d,]+ tokens/);
    assert.match(reading, /Left out, /);
    const [memory, thread, free] = await panel.meter();
    assert.ok(memory > 500 && memory <= 2000, `${memory} tokens in memory keep to the budget of 2,000`);
    assert.ok(thread > 0 && free > 0);
  });

  it("opens the editor at the line of a citation", async () => {
    const panel = await stage().panel();
    const place = panel.citations.locator("button.place", { hasText: /:\d+$/ }).first();
    const [, file = "", line = ""] = /([^/]+):(\d+)$/.exec(await textOf(place)) ?? [];
    await place.click();
    await until("the cited line", async () => {
      const at = await stage().workbench.place();
      return at.file === file && at.line === Number(line);
    });
    await stage().picture("4-citation-opened");
  });

  it("answers a follow-up without reading any of the memory again", async () => {
    const panel = await stage().panel();
    const [memory] = await panel.meter();
    await panel.ask("And what does formatBar do?");
    await panel.ended();
    assert.equal(await panel.turns.count(), 2);
    const details = await panel.details();
    const reused = Number(/([\d,]+) tokens were in memory already/.exec(details)?.[1]?.replaceAll(",", ""));
    assert.ok(reused >= memory, `${reused} of at least ${memory} tokens were in memory: ${details}`);
  });

  it("stops an answer, says so, and answers the next question", async () => {
    const panel = await stage().panel();
    await panel.ask("How does each file of this project work, in detail?");
    await panel.stopButton.waitFor();
    await panel.stopButton.click();
    await panel.ended();
    assert.match(await textOf(panel.lastTurn), /Stopped\./);
    await panel.ask("What is eta?");
    await panel.ended();
    assert.notEqual(await panel.answer(), "");
    assert.doesNotMatch(await textOf(panel.lastTurn), /Stopped\./);
  });

  it("goes by keys alone: palette, question box, answer, citation, editor", async () => {
    const { workbench } = stage();
    await workbench.runByKeys("Quire: Ask About This Workspace");
    await until("the input box", async () => (await workbench.quickInput.inputValue()) === "");
    await workbench.page.keyboard.type("Where is formatBar defined?");
    await workbench.page.keyboard.press("Enter");
    const panel = await stage().panel();
    await until("the new thread", async () => (await panel.turns.count()) === 1);
    await panel.ended();
    await panel.focusByKeys(workbench);
    const focused = panel.frame.locator("li.citation button.place:focus", { hasText: /:\d+$/ });
    await panel.tabTo(workbench, focused, "Shift+Tab");
    const [, file = "", line = ""] = /([^/]+):(\d+)$/.exec(await textOf(focused)) ?? [];
    await workbench.page.keyboard.press("Enter");
    await until("the cited line", async () => {
      const at = await workbench.place();
      return at.file === file && at.line === Number(line);
    });

    // Back to the panel: a follow-up, and its stop.
    await panel.focusByKeys(workbench);
    await panel.tabTo(workbench, panel.frame.locator("textarea:focus"), "Tab");
    await workbench.page.keyboard.type("How does each file of this project work, in detail?");
    await workbench.page.keyboard.press("Enter");
    await panel.stopButton.waitFor();
    assert.equal(await panel.turns.count(), 2);
    await workbench.page.keyboard.press("Escape");
    await panel.ended();
    assert.match(await textOf(panel.lastTurn), /Stopped\./);
  });

  it("shows the thread again after the window was loaded again, and as a tab of the editor", async () => {
    // At once after a stop, which was lost (the editor's own storage writes a moment later).
    const shown = async (panel: Panel): Promise<string[]> => {
      const turns = await panel.turns.allTextContents();
      const ends = turns.map((text) => (text.includes("Stopped.") ? "stopped" : "answered"));
      const answer = await textOf(panel.turns.first().locator("quire-markdown"));
      return [...(await panel.frame.locator("quire-turn h2").allTextContents()), ...ends, answer];
    };
    const before = await shown(await stage().panel());
    assert.deepEqual(before.slice(2, 4), ["answered", "stopped"]);
    assert.match(before.join(" "), /formatBar/);
    const { workbench } = stage();
    await workbench.open(stage().editor.address(stage().workspace));
    await workbench.run("Quire: Open Panel in Editor");
    const tab = await stage().panel();
    await until("the thread that was there", async () => isDeepStrictEqual(await shown(tab), before));
    await stage().picture("5-panel-in-editor");
  });

  it("says no word against its own content policy, and asks nothing of the network", () => {
    assert.deepEqual(stage().record.complaints, []);
    assert.deepEqual(stage().record.strayRequests, []);
  });
});
