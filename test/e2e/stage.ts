// stage.ts — what each test file plays on: one editor, one browser, one window, and the evidence when a test fails.
//
// `onStage(options)` within a describe sets it up before its tests and takes it down after them. A failed test leaves a picture,
// the logs and the frames in the folder $QUIRE_SCREENS (else quire-e2e in the folder for temporary files).

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Browser } from "playwright-core";
import { launch, Record } from "./browser.ts";
import { Editor, type EditorOptions } from "./editor.ts";
import { type Needs, needed } from "./needs.ts";
import { Panel } from "./panel.ts";
import { patience } from "./until.ts";
import { Workbench } from "./workbench.ts";

export const screens = process.env.QUIRE_SCREENS ?? path.join(tmpdir(), "quire-e2e");

export interface StageOptions extends EditorOptions {
  /** Makes the workspace in an empty folder; returns what to open. */
  workspace(folder: string): string;
  /** Command before the browser's own, once the editor runs: see network.ts. */
  browserIn?(needs: Needs, editor: Editor): string;
}

export class Stage {
  readonly folder = mkdtempSync(path.join(tmpdir(), "quire-e2e-ws-"));
  readonly editor: Editor;
  readonly workspace: string;
  #browser: Browser | undefined;
  #workbench: Workbench | undefined;
  #record: Record | undefined;

  constructor(needs: Needs, options: StageOptions) {
    this.editor = new Editor(needs, options);
    this.workspace = options.workspace(this.folder);
  }

  get workbench(): Workbench {
    if (this.#workbench === undefined) throw new Error("the stage is not set up");
    return this.#workbench;
  }

  get record(): Record {
    if (this.#record === undefined) throw new Error("the stage is not set up");
    return this.#record;
  }

  async setUp(executable: () => string): Promise<void> {
    await this.editor.start();
    this.#browser = await launch(executable());
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 } });
    context.setDefaultTimeout(patience);
    this.#record = new Record(context);
    this.#workbench = new Workbench(await context.newPage());
    await this.#workbench.open(this.editor.address(this.workspace));
  }

  async panel(): Promise<Panel> {
    return new Panel(await this.workbench.webview("quire-panel"));
  }

  /** Keeps a picture of the window, to be looked at. */
  async picture(name: string): Promise<void> {
    mkdirSync(screens, { recursive: true });
    await this.workbench.page.screenshot({ path: path.join(screens, `${name}.png`) });
  }

  async evidence(name: string): Promise<void> {
    const folder = path.join(screens, `failed-${name.replace(/[^\w]+/g, "-").slice(0, 80)}`);
    mkdirSync(folder, { recursive: true });
    for (const [file, text] of Object.entries(this.editor.logs())) writeFileSync(path.join(folder, file), text);
    const page = this.#workbench?.page;
    if (page === undefined) return;
    writeFileSync(
      path.join(folder, "frames.txt"),
      page
        .frames()
        .map((frame) => frame.url())
        .join("\n"),
    );
    writeFileSync(path.join(folder, "complaints.txt"), this.record.complaints.join("\n"));
    await page.screenshot({ path: path.join(folder, "window.png") });
    process.stderr.write(`      evidence: ${folder}\n`);
  }

  async tearDown(): Promise<void> {
    await this.#browser?.close();
    await this.editor.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Within a describe: the stage of its tests, set up before the first. */
export function onStage(options: StageOptions): () => Stage {
  let stage: Stage | undefined;
  before("the editor starts", async function () {
    this.timeout(3 * patience);
    const needs = needed(this);
    stage = new Stage(needs, options);
    const { editor } = stage;
    try {
      await stage.setUp(() => options.browserIn?.(needs, editor) ?? needs.browser);
    } catch (error) {
      await stage.evidence("set-up");
      throw error;
    }
  });
  afterEach("evidence of a failure", async function () {
    if (this.currentTest?.state === "failed") await stage?.evidence(this.currentTest.fullTitle());
  });
  after("the editor stops", async function () {
    this.timeout(patience);
    await stage?.tearDown();
  });
  return () => {
    if (stage === undefined) throw new Error("the stage is not set up");
    return stage;
  };
}
