// browser.ts — the panel in Chromium, alone: served by scripts/panel.mjs, driven through Playwright.
//
// In: which theme, recording and size. Out: a page, and what the panel sent and said. Without Chromium the tests are skipped
// loudly, and fail where E2E_REQUIRED=1. Nothing of the panel is stubbed; the host is a recording or the test itself.

import { type Browser, chromium, type Page } from "playwright-core";
import type { PanelState, PanelTurn, ToHost, ToPanel } from "../../media/messages.ts";
import { findBrowser } from "../../scripts/browser.mjs";
import { servePanel } from "../../scripts/panel.mjs";

const executablePath = findBrowser();

export interface Opened {
  page: Page;
  /** Everything the panel sent to its host. */
  sent(): Promise<ToHost[]>;
  /** Every sentence put before a screen reader, in order. */
  said(): Promise<string[]>;
  post(...messages: ToPanel[]): Promise<void>;
  /** Errors of the page and lines about its policy. */
  troubles: string[];
}

export interface Wanted {
  theme?: string;
  recording?: string;
  width?: number;
  height?: number;
  place?: "editor" | "view";
  /** Plays only so many messages of the recording. */
  first?: number;
}

export class PanelBrowser {
  readonly address: string;
  readonly #browser: Browser;
  readonly #close: () => Promise<unknown>;

  private constructor(browser: Browser, address: string, close: () => Promise<unknown>) {
    this.#browser = browser;
    this.address = address;
    this.#close = close;
  }

  /** Undefined: there is no Chromium, and it has been said. */
  static async start(): Promise<PanelBrowser | undefined> {
    if (executablePath === undefined) {
      const words = "The panel's browser tests need Chromium: install it, or name one in QUIRE_BROWSER.";
      if (process.env.E2E_REQUIRED === "1") throw new Error(words);
      console.error(`SKIPPED: ${words}`);
      return undefined;
    }
    const browser = await chromium.launch({
      executablePath,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
      ],
    });
    const { address, close } = await servePanel();
    return new PanelBrowser(browser, address, close);
  }

  async open(wanted: Wanted = {}): Promise<Opened> {
    const { theme = "dark", recording = "", width = 420, height = 900, place = "view", first } = wanted;
    const context = await this.#browser.newContext({ viewport: { width, height } });
    const page = await context.newPage();
    const troubles: string[] = [];
    page.on("pageerror", (error) => troubles.push(error.message));
    page.on("console", (line) => {
      if (/Content Security Policy|Refused to/i.test(line.text()) || line.type() === "error")
        troubles.push(line.text());
    });
    // tsx wraps functions to keep their names, also those that run in the page.
    await page.addInitScript("globalThis.__name = (named) => named");
    await page.addInitScript(keepSentences);
    if (first !== undefined) await page.addInitScript(playFirst, first);
    await page.goto(`${this.address}/panel?${new URLSearchParams({ theme, recording, place, speed: "0" })}`);
    await page.waitForFunction(() => "quireSent" in window && (window.quireSent as unknown[]).length > 0);
    await settled(page);
    return {
      page,
      troubles,
      sent: () => page.evaluate(() => (window as unknown as { quireSent: ToHost[] }).quireSent),
      said: () => page.evaluate(() => (window as unknown as { quireSaid: string[] }).quireSaid),
      post: async (...messages) => {
        await page.evaluate((all) => {
          for (const message of all) window.postMessage(message, "*");
        }, messages);
        await settled(page);
      },
    };
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.#close();
  }
}

/** Resolves when everything posted so far has been rendered: messages are tasks, rendering waits for frames. */
async function settled(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    await new Promise((resolve) => setTimeout(resolve));
    for (let i = 0; i < 4; i++) await frame();
  });
}

/** In the page, before anything else: keeps every sentence that is added to a live region. */
function keepSentences(): void {
  const said: string[] = [];
  Object.assign(window, { quireSaid: said });
  new MutationObserver((changes) => {
    for (const change of changes)
      for (const node of change.addedNodes)
        if (change.target instanceof Element && change.target.closest('[role="status"], [role="alert"]') !== null)
          said.push(`${change.target.getAttribute("role") === "alert" ? "! " : ""}${node.textContent ?? ""}`);
  }).observe(document, { childList: true, subtree: true });
}

/** In the page: the host plays only the first messages. */
function playFirst(count: number): void {
  let play: { recording: unknown[] } | undefined;
  Object.defineProperty(window, "quirePlay", {
    get: () => play,
    set: (value: { recording: unknown[] }) => {
      play = { ...value, recording: value.recording.slice(0, count) };
    },
  });
}

/** A state with these turns and nothing else. */
export function stateOf(turns: PanelTurn[], changes: Partial<PanelState> = {}): ToPanel {
  return {
    type: "state",
    state: { thread: { id: "thread", turns }, engine: { state: "ready" }, history: [], ...changes },
  };
}

export function turnOf(id: string, changes: Partial<PanelTurn> = {}): PanelTurn {
  return { id, askedAt: 0, question: `Question ${id}?`, state: "working", text: "", notices: [], ...changes };
}
