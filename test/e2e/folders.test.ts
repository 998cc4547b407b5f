// Workspaces that are not one trusted folder: two folders, and a folder whose author is not trusted.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { testTime, textOf } from "./panel.ts";
import { cliProgress, commanderParts } from "./repositories.ts";
import { onStage } from "./stage.ts";
import { until } from "./until.ts";

describe("a workspace of two folders", function () {
  this.timeout(testTime);
  const stage = onStage({
    workspace: (folder) => {
      const folders = [cliProgress(folder), commanderParts(folder)].map((root) => ({ path: root }));
      const file = path.join(folder, "both.code-workspace");
      writeFileSync(file, JSON.stringify({ folders }));
      return file;
    },
    settings: { "quire.context.tokenBudget": 4000, "quire.answer.maxTokens": 48 },
  });

  it("reads files of both, their paths beginning with the folder's name, and opens the right one", async () => {
    const { workbench } = stage();
    await workbench.run("Quire: Ask About This Workspace");
    await workbench.answerInput("What does suggestSimilar in commander/lib/suggestSimilar.js do?");
    const panel = await stage().panel();
    await panel.ended();
    const reading = await panel.reading();
    assert.match(reading, /cli-progress\/lib\//);
    assert.match(reading, /commander\/lib\//);
    const place = panel.frame.locator("details.reading button.place", { hasText: "commander/lib/" }).first();
    const file = path.posix.basename(await textOf(place));
    await panel.frame.locator("details.reading, details.reading details").evaluateAll((all) => {
      for (const one of all) one.setAttribute("open", "");
    });
    await place.click();
    await until("the file of the second folder", async () => (await workbench.place()).file === file);
    await stage().picture("12-two-folders");
  });
});

describe("a workspace that is not trusted", function () {
  this.timeout(testTime);
  let marker = "";
  const stage = onStage({
    workspace: (folder) => {
      const root = cliProgress(folder);
      marker = path.join(folder, "ran");
      const script = path.join(root, "node.sh");
      writeFileSync(script, `#!/bin/sh\ntouch "${marker}"\n`, { mode: 0o755 });
      mkdirSync(path.join(root, ".vscode"));
      writeFileSync(
        path.join(root, ".vscode", "settings.json"),
        JSON.stringify({ "quire.node.path": script, "quire.model": path.join(root, "evil.gguf") }),
      );
      return root;
    },
    untrusted: true,
    settings: { "quire.answer.maxTokens": 32 },
  });

  it("answers with the user's model and Node, not with those the workspace chose, and says what is limited", async () => {
    const { workbench, editor } = stage();
    await workbench.statusItem(/Restricted Mode/).waitFor();
    await workbench.run("Quire: Ask About This Workspace");
    await workbench.answerInput("What does formatTime do?");
    const panel = await stage().panel();
    await panel.ended();
    assert.notEqual(await panel.answer(), "");
    assert.match(await textOf(panel.lastTurn), /not trusted/);
    assert.match(await textOf(panel.frame.locator("quire-header")), /smollm2-135m/);
    assert.doesNotMatch(editor.quireLog(), /node\.sh|evil\.gguf/);
    assert.equal(existsSync(marker), false, "nothing of the workspace ran");
    await stage().picture("13-untrusted");
  });
});
