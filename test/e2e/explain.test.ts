// Explaining a selection inline: a comment thread below it that streams, takes follow-ups and moves to the panel.

import assert from "node:assert/strict";
import type { Locator } from "playwright-core";
import { smallModel } from "./needs.ts";
import { answerTime, testTime, textOf } from "./panel.ts";
import { cliProgress } from "./repositories.ts";
import { onStage } from "./stage.ts";
import { until } from "./until.ts";

describe("explaining a selection", function () {
  this.timeout(testTime);
  const stage = onStage({ workspace: cliProgress });

  it("is offered by the context menu and by the light bulb", async () => {
    const { workbench } = stage();
    const { page } = workbench;
    await workbench.openFile("lib/format-time.js", 3);
    await workbench.selectLines(8);
    const offers: [string, Locator][] = [
      ["Shift+F10", page.locator(".context-view .action-label", { hasText: "Explain Selection" })],
      // Actions of the language come with it, once its server has started.
      ["Control+Period", page.locator(".action-widget .monaco-list-row", { hasText: "Explain with Quire" })],
    ];
    for (const [key, row] of offers) {
      // A key may be lost while the language's server starts; Escape, pressed in vain, would drop the selection.
      await until(`what ${key} offers`, async () => {
        await page.keyboard.press(key);
        return row.waitFor({ timeout: 15_000 }).then(
          () => true,
          () => false,
        );
      });
      await page.keyboard.press("Escape");
      await row.waitFor({ state: "hidden" });
    }
  });

  it("opens a thread under the selection by keys, shows progress, and streams the explanation", async () => {
    const { workbench } = stage();
    await workbench.openFile("lib/format-time.js", 3);
    await workbench.selectLines(8);
    await workbench.page.keyboard.press("Control+K");
    await workbench.page.keyboard.press("Shift+Q");
    const { thread, comments } = inline();
    await thread.waitFor();
    await until("progress", async () => /Reading|Starting|Opening|Planning|Looking/i.test(await textOf(thread)));
    await stage().picture("8-explain-progress");
    await until("the end of the explanation", () => isEnded(), answerTime);
    assert.equal(await comments.count(), 1);
    assert.ok((await textOf(comments.last())).length > 40);
    await stage().picture("9-explained");
  });

  it("takes a follow-up as a reply", async () => {
    const { workbench } = stage();
    const { thread, comments } = inline();
    await thread.locator(".review-thread-reply-button, .comment-form").first().click();
    await thread.locator(".comment-form .monaco-editor").first().click();
    await workbench.page.keyboard.type("What does it return for 90 seconds?");
    await workbench.page.keyboard.press("Control+Enter");
    await until("the reply's answer", async () => (await comments.count()) === 3 && (await isEnded()), answerTime);
    assert.match(await textOf(comments.nth(1)), /90 seconds/);
    assert.ok((await textOf(comments.last())).length > 40);
    await stage().picture("10-explain-follow-up");
  });

  it("goes on in the panel", async () => {
    const { thread } = inline();
    await thread.locator(".review-actions").getByRole("button", { name: "Show in Panel" }).first().click();
    const panel = await stage().panel();
    await until("both questions", async () => (await panel.turns.count()) === 2);
    assert.match(await textOf(panel.turns.first()), /lib\/format-time\.js:3/);
    assert.match(await textOf(panel.turns.last()), /90 seconds/);
    await stage().picture("11-explained-in-panel");
  });

  function inline() {
    const thread = stage().workbench.page.locator(".review-widget").first();
    return { thread, comments: thread.locator(".review-comment") };
  }

  /** Nothing is in work any more: the last comment names the model that wrote it, and the thread's button to stop is gone. */
  async function isEnded(): Promise<boolean> {
    const { thread, comments } = inline();
    if (!(await textOf(comments.last())).includes(smallModel)) return false;
    return (await thread.locator(".review-actions").getByRole("button", { name: "Stop" }).count()) === 0;
  }
});
