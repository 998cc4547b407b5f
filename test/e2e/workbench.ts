// workbench.ts — the editor's window as a user meets it: palette, input boxes, editors, notifications, status bar.
//
// In: a page with the workbench in it. Out: what was done, and what is to be seen. Selectors of VS Code's own DOM are here alone.

import type { Frame, Locator, Page } from "playwright-core";
import { until } from "./until.ts";

/** What is tried again when it does not come at once. */
const aWhile = 5_000;

/** Where a webview's own document lies. */
const webviewDocument = /\/webview\/browser\/pre\/fake\.html/;

export class Workbench {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  async open(address: string): Promise<void> {
    await this.page.goto(address, { waitUntil: "domcontentloaded" });
    await this.page.locator(".monaco-workbench .part.statusbar").waitFor();
    await this.statusItem(/Quire/).waitFor();
  }

  /** Runs a command from the palette by its title. The list is a snapshot: it is opened again until the command is in it. */
  async run(title: string): Promise<void> {
    const { page } = this;
    const input = this.quickInput;
    await until(`the command ${title}`, async () => {
      if (await input.isVisible()) await page.keyboard.press("Escape");
      await page.keyboard.press("F1");
      await input.waitFor({ state: "visible", timeout: aWhile });
      await input.fill(`>${title}`);
      const row = this.quickWidget.locator(".monaco-list-row", { hasText: title }).first();
      await row.waitFor({ timeout: aWhile });
      await row.click({ timeout: aWhile });
      return true;
    });
  }

  /** The same by keys alone. */
  async runByKeys(title: string): Promise<void> {
    const { page } = this;
    const focused = this.quickWidget.locator(".monaco-list-row.focused", { hasText: title });
    await until(`the command ${title} by keys`, async () => {
      if (await this.quickInput.isVisible()) await page.keyboard.press("Escape");
      await page.keyboard.press("F1");
      await this.quickInput.waitFor({ state: "visible", timeout: aWhile });
      await page.keyboard.type(title);
      await focused.waitFor({ timeout: aWhile });
      await page.keyboard.press("Enter");
      return true;
    });
  }

  get quickWidget(): Locator {
    return this.page.locator(".quick-input-widget:visible");
  }

  get quickInput(): Locator {
    return this.quickWidget.locator("input[type=text]").first();
  }

  /** Types into the input box that a command opened, and accepts. */
  async answerInput(text: string): Promise<void> {
    const isCommandList = async (): Promise<boolean> => (await this.quickInput.inputValue()).startsWith(">");
    await until("the input box", async () => (await this.quickInput.isVisible()) && !(await isCommandList()));
    await this.quickInput.fill(text);
    await this.page.keyboard.press("Enter");
    await this.quickWidget.waitFor({ state: "hidden" });
  }

  statusItem(text: RegExp): Locator {
    return this.page.locator(".part.statusbar .statusbar-item", { hasText: text }).first();
  }

  /** Where the cursor of the active editor stands. */
  async place(): Promise<{ file: string; line: number }> {
    const words = await this.page
      .locator(".statusbar-item", { hasText: /Ln \d+/ })
      .first()
      .textContent();
    const tab = this.page.locator(".editor-group-container.active .tab.active").first();
    return {
      file: (await tab.getAttribute("data-resource-name")) ?? "",
      line: Number(/Ln\s(\d+)/.exec(words ?? "")?.[1] ?? 0),
    };
  }

  /** Opens a file of the workspace, by the palette, at a line. */
  async openFile(name: string, line: number): Promise<void> {
    // A key that comes before the workbench is all there is lost.
    await until("the list of files", async () => {
      await this.page.keyboard.press("Control+P");
      await this.quickInput.waitFor({ state: "visible", timeout: aWhile });
      return true;
    });
    await this.quickInput.fill(name);
    await this.quickWidget
      .locator(".monaco-list-row", { hasText: name.split("/").pop() ?? name })
      .first()
      .waitFor();
    await this.quickInput.fill(`${name}:${line}`);
    await this.page.keyboard.press("Enter");
    await until(`line ${line} of ${name}`, async () => (await this.place()).line === line);
  }

  /** Selects this many lines from the cursor on. */
  async selectLines(count: number): Promise<void> {
    for (let line = 0; line < count; line++) await this.page.keyboard.press("Shift+ArrowDown");
    await until("a selection", () =>
      this.page
        .locator(".statusbar-item", { hasText: /selected/ })
        .first()
        .isVisible(),
    );
  }

  /** Changes a setting on the settings page, of the machine that the extension runs on, and closes the page when it is kept. */
  async setOnSettingsPage(name: string, value: string, isKept: () => boolean): Promise<void> {
    const { page } = this;
    await this.run("Quire: Open Settings");
    const settings = page.locator(".settings-editor");
    await settings.locator(".settings-tabs-widget .action-label", { hasText: "Remote" }).click();
    await settings.locator(`.setting-item-contents[data-key="${name}"] input`).fill(value);
    await until(`${value} as ${name}`, isKept);
    await until("the end of the settings page", async () => {
      if ((await settings.count()) === 0) return true;
      await page.keyboard.press("Escape");
      return false;
    });
  }

  get notifications(): Locator {
    return this.page.locator(".notification-list-item");
  }

  /** The document of the webview that holds the selector. */
  webview(selector: string): Promise<Frame> {
    return until(`a webview with ${selector}`, async () => {
      for (const frame of this.page.frames())
        if (webviewDocument.test(frame.url()) && (await frame.locator(selector).count()) > 0) return frame;
      return undefined;
    });
  }
}
