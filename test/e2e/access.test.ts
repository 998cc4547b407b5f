// Access: axe finds nothing in the panel in the four default themes, and a screen reader is given sentences, not tokens.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import { testTime } from "./panel.ts";
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

/** In the panel, before a question: keeps every sentence that comes to its live regions, and counts the changes of the answer. */
const listen = `
  globalThis.quireHeard = [];
  globalThis.quireAnswer = { grown: 0, spoken: false };
  const live = '[role="status"], [role="alert"], [role="log"], [aria-live]:not([aria-live="off"])';
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      const element = target instanceof Element ? target : target.parentElement;
      const isAnswer = element?.closest("quire-markdown") != null;
      if (isAnswer) quireAnswer.grown++;
      if (element?.closest(live) == null) continue;
      if (isAnswer) quireAnswer.spoken = true;
      for (const node of addedNodes) quireHeard.push(node.textContent);
    }
  }).observe(document, { childList: true, characterData: true, subtree: true });
  undefined`;

describe("access to the panel", function () {
  this.timeout(testTime);
  const stage = onStage({ workspace: cliProgress, settings: { "quire.answer.maxTokens": 48 } });

  it("gives a screen reader sentences: the beginning, progress, the end with its first sentence", async () => {
    const { workbench } = stage();
    await workbench.run("Quire: Focus on Ask View");
    const panel = await stage().panel();
    await panel.frame.evaluate(listen);
    await panel.ask("What does the function formatTime do?");
    await panel.ended();
    const heard = async (): Promise<string[]> => panel.frame.evaluate("quireHeard");
    await until("the sentence of the end", async () => (await heard()).some((sentence) => /^Answer: /.test(sentence)));
    const all = await heard();
    const said = all.join(" | ");
    assert.equal(all[0], "Quire is working on your question.", said);
    assert.ok(
      all.some((sentence) => sentence.startsWith("Reading the workspace.")),
      said,
    );
    assert.match(all.at(-1) ?? "", /^Answer: \S.* (?:No citations|\d+ citations?)\. This answer read \S.*\.$/s, said);
    for (const sentence of all) assert.match(sentence, /^[A-Z\d].*[.!?]$/s, "a sentence, not a token");
    const { grown, spoken }: { grown: number; spoken: boolean } = await panel.frame.evaluate("quireAnswer");
    assert.ok(grown > all.length, `the answer grew ${grown} times, ${all.length} sentences were said: ${said}`);
    assert.equal(spoken, false, "the growing answer itself is not read out");
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
