// images.ts — the README's pictures, taken anew: docs/images/*.webp, from the packaged extension in a real editor, with answers
// of a model that a user would take.
//
//   QUIRE_VSIX=package/<the package>.vsix npx tsx test/e2e/images.ts
// What a test needs is needed here too (needs.ts), and the 1.5B model. Nothing is drawn by hand.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { findModel } from "../../engine/models/catalog.ts";
import { findTestModel } from "../engine/models/find-model.ts";
import { lookForNeeds } from "./needs.ts";
import { answerTime, textOf } from "./panel.ts";
import { cliProgress } from "./repositories.ts";
import { Stage } from "./stage.ts";
import { until } from "./until.ts";

const model = "qwen2.5-coder-1.5b";
const folder = path.join(import.meta.dirname, "..", "..", "docs", "images");
/** Large pictures make a slow page. */
const mostBytes = 150_000;
const patience = 4 * answerTime;

/** The window as WebP: the browser's own canvas makes it. */
async function take(page: Page, name: string): Promise<void> {
  const png = (await page.screenshot()).toString("base64");
  const canvas = await page.context().newPage();
  const webp: string = await canvas.evaluate(`(async () => {
    const image = new Image();
    image.src = "data:image/png;base64,${png}";
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width;
    canvas.height = image.height;
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.9).split(",")[1];
  })()`);
  await canvas.close();
  const bytes = Buffer.from(webp, "base64");
  assert.ok(bytes.length > 0 && bytes.length <= mostBytes, `${name} has ${bytes.length} bytes`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, `${name}.webp`), bytes);
  process.stdout.write(`docs/images/${name}.webp: ${bytes.length} bytes\n`);
}

async function main(): Promise<void> {
  const needs = lookForNeeds();
  if (typeof needs === "string") throw new Error(needs);
  const entry = findModel(model);
  const file = entry === undefined ? undefined : findTestModel(entry);
  if (file === undefined) throw new Error(`the model ${model} is not here: quire models fetch ${model}`);
  const stage = new Stage(needs, {
    workspace: cliProgress,
    models: [file],
    settings: { "quire.model": model, "quire.context.tokenBudget": 6000, "quire.answer.maxTokens": 160 },
  });
  try {
    await stage.setUp(() => needs.browser);
    const { workbench, editor } = stage;
    await workbench.run("Quire: Ask About This Workspace");
    await workbench.answerInput("How does MultiBar draw several bars?");
    const panel = await stage.panel();
    await panel.lastTurn.locator(".turn-buttons").waitFor({ timeout: patience });
    await panel.citations.locator("button.place").first().click();
    await until("the cited file", async () => (await workbench.place()).file.endsWith(".js"));
    await take(workbench.page, "answer-dark");

    editor.setSettings({ "workbench.colorTheme": "Default Light Modern" });
    await workbench.open(editor.address(stage.workspace));
    await workbench.run("Quire: Focus on Ask View");
    await (await stage.panel()).lastTurn.locator(".turn-buttons").waitFor();

    await workbench.openFile("lib/eta.js", 26);
    await workbench.selectLines(6);
    await workbench.run("Quire: Explain Selection");
    const thread = workbench.page.locator(".review-widget").first();
    const stop = thread.locator(".review-actions").getByRole("button", { name: "Stop" });
    await thread.locator(".review-comment").first().waitFor();
    const isEnded = async (): Promise<boolean> => (await stop.count()) === 0 && /qwen/.test(await textOf(thread));
    await until("the explanation", isEnded, patience);
    await workbench.run("View: Hide Panel").catch(() => workbench.page.keyboard.press("Escape"));
    await take(workbench.page, "explain-light");
  } finally {
    await stage.tearDown();
  }
}

await main();
