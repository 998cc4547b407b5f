// Access: axe finds nothing in the panel in the four default themes, and a screen reader is given sentences, not tokens.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import { answerTime } from "./panel.ts";
import { cliProgress } from "./repositories.ts";
import { onStage } from "./stage.ts";
import { until } from "./until.ts";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Theme and the class that the webview's body has in it. */
const themes = [
  ["Default Dark Modern", "vscode-dark"],
  ["Default Light Modern", "vscode-light"],
  ["Default High Contrast", "vscode-high-contrast"],
  ["Default High Contrast Light", "vscode-high-contrast-light"],
] as const;

describe("access to the panel", function () {
  this.timeout(answerTime + 60_000);
  const stage = onStage({ workspace: cliProgress, settings: { "quire.answer.maxTokens": 48 } });

  it("gives a screen reader sentences: the beginning, progress, the end with its first sentence", async () => {
    const { workbench } = stage();
    await workbench.run("Quire: Focus on Ask View");
    const panel = await stage().panel();
    await panel.ask("What does the function formatTime do?");
    const heard = new Set<string>();
    await until(
      "the sentence of the end",
      async () => {
        for (const sentence of await panel.sentences()) heard.add(sentence);
        return [...heard].some((sentence) => sentence.startsWith("Answer: "));
      },
      answerTime,
    );
    await panel.ended();
    const all = [...heard];
    assert.ok(all.length >= 2 && all.length <= 12, all.join(" | "));
    for (const sentence of all) assert.match(sentence, /[.!?:…]$/, "a sentence, not a token");
    assert.ok(all.some((sentence) => /working on your question/.test(sentence)));
  });

  for (const [theme, bodyClass] of themes) {
    it(`axe finds nothing in ${theme}`, async () => {
      const { editor, workbench, workspace } = stage();
      editor.setSettings({ "workbench.colorTheme": theme });
      await workbench.open(editor.address(workspace));
      await workbench.run("Quire: Focus on Ask View");
      const panel = await stage().panel();
      await panel.frame.locator(`body.${bodyClass}`).waitFor();
      await panel.lastTurn.locator(".turn-buttons").waitFor();
      await panel.frame.locator("details.reading, .answer-details").evaluateAll((all) => {
        for (const one of all) one.setAttribute("open", "");
      });
      // The page's policy lets no script tag in; what the test evaluates is not of the page.
      await panel.frame.evaluate(axeSource);
      const results: AxeResults = await panel.frame.evaluate("axe.run(document)");
      assert.deepEqual(
        results.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
        [],
      );
      assert.ok(results.passes.length > 10);
      await stage().picture(`14-${bodyClass}`);
    });
  }
});
