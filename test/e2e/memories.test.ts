// What was read and is kept on disk, managed in the editor: listed, pinned with the mouse, deleted by keys, all of it deleted from the palette.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import type { Locator } from "playwright-core";
import { testTime } from "./panel.ts";
import { cliProgress } from "./repositories.ts";
import { onStage } from "./stage.ts";
import { until } from "./until.ts";

describe("managing memories", function () {
  this.timeout(testTime);
  const stage = onStage({ workspace: cliProgress, settings: { "quire.answer.maxTokens": 16 } });

  const row = (spoken: RegExp): Locator => stage().workbench.page.getByRole("treeitem", { name: spoken });
  const dialog = (): Locator => stage().workbench.page.locator(".monaco-dialog-box");
  const kept = (ending: RegExp): string[] => {
    try {
      return readdirSync(path.join(stage().editor.home, "memories"), { recursive: true, encoding: "utf8" }).filter(
        (name) => ending.test(name),
      );
    } catch {
      return [];
    }
  };

  it("lists the workspace that was read, with model, tokens and size, in a sentence for screen readers too", async () => {
    const { workbench } = stage();
    await workbench.run("Quire: Ask About This Workspace");
    await workbench.answerInput("What does formatTime do?");
    await (await stage().panel()).ended();
    await until("a memory on the disk", () => kept(/\.memory$/).length > 0);
    await workbench.run("Quire: Manage Memories");
    const words = /^This workspace: .*smollm2-135m, [\d,]+ tokens, [\d.]+ MB, used .*, first read /;
    await row(words).waitFor();
    await workbench.page.getByText(/1 memory, [\d.]+ MB of the 10\.0 GB/).waitFor();
    await stage().picture("20-memories");
  });

  it("pins it with the button of its row", async () => {
    await row(/^This workspace/).hover();
    await row(/^This workspace/)
      .getByRole("button", { name: "Pin Memory" })
      .click();
    await row(/^This workspace.*pinned/).waitFor();
    assert.equal(kept(/\.pinned$/).length, 1);
  });

  it("says before everything is deleted how much that is and what stays, and deletes nothing unless told", async () => {
    const { workbench } = stage();
    await workbench.run("Quire: Delete Everything That Was Read");
    await dialog()
      .getByText(/deletes 1 memory \([\d.]+ MB\) and the token ids/)
      .waitFor();
    await dialog()
      .getByText(/1 model \(98\.4 MB\) stays\. To remove a model, delete its file in/)
      .waitFor();
    await stage().picture("21-delete-everything");
    await workbench.page.keyboard.press("Escape");
    await dialog().waitFor({ state: "hidden" });
    assert.equal(kept(/\.memory$/).length, 1);
  });

  it("deletes it by keys alone, after asking", async () => {
    const { workbench } = stage();
    await workbench.runByKeys("Quire: Manage Memories");
    await until("the question whether to delete it", async () => {
      await workbench.page.keyboard.press("ArrowDown");
      await workbench.page.keyboard.press("Delete");
      return until("the dialog", () => dialog().isVisible(), 5_000).catch(() => false);
    });
    await dialog()
      .getByText(/reads the repository again/)
      .waitFor();
    await workbench.page.keyboard.press("Enter");
    await workbench.page.getByText(/Nothing is kept/).waitFor();
    await until("an empty disk", () => kept(/[0-9a-f]{64}$|\.memory$|\.pinned$/).length === 0);
  });
});
