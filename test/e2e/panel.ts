// panel.ts — Quire's panel as a user meets it: turns, citations, the meter, the question box. Selectors of the panel's DOM are
// here alone.

import assert from "node:assert/strict";
import type { Frame, Locator } from "playwright-core";
import { until } from "./until.ts";
import type { Workbench } from "./workbench.ts";

/** In the page: what has the focus, and which of its kind. */
const place = `(() => {
  const { activeElement } = document;
  const at = [...document.querySelectorAll("*")].indexOf(activeElement);
  return document.hasFocus() ? activeElement.localName + "." + activeElement.className + " " + at : "elsewhere";
})()`;

/** Long enough for a small model on two busy cores to read and to answer. */
export const answerTime = 240_000;
/** Of a test with several questions; what works takes a tenth of it. */
export const testTime = 3 * answerTime;

export class Panel {
  readonly frame: Frame;

  constructor(frame: Frame) {
    this.frame = frame;
  }

  get turns(): Locator {
    return this.frame.locator("quire-turn");
  }

  get lastTurn(): Locator {
    return this.turns.last();
  }

  get question(): Locator {
    return this.frame.locator("quire-question-box textarea");
  }

  get stopButton(): Locator {
    return this.frame.getByRole("button", { name: "Stop", exact: true });
  }

  get askButton(): Locator {
    return this.frame.getByRole("button", { name: "Ask", exact: true });
  }

  get citations(): Locator {
    return this.lastTurn.locator("li.citation");
  }

  /** Comes into the panel from wherever the focus is, by the palette and keys alone. */
  async focusByKeys(workbench: Workbench): Promise<void> {
    const isHere = (): Promise<boolean> => this.frame.evaluate("document.hasFocus()");
    await until("the focus in the panel", async () => {
      await workbench.runByKeys("Quire: Focus on Ask View");
      return until("the focus", isHere, 5_000).catch(() => false);
    });
    // Nothing of it had the focus before: then the question box takes it.
    await this.frame.locator(":focus").waitFor();
  }

  /** Presses Tab or Shift+Tab until this has the focus; never outside of the panel, where it would change a file. */
  async tabTo(workbench: Workbench, focused: Locator, key: "Tab" | "Shift+Tab"): Promise<void> {
    const order: string[] = [];
    while ((await focused.count()) === 0) {
      assert.ok(await this.frame.evaluate("document.hasFocus()"), `${key} left the panel after ${order.join(", ")}`);
      const before: string = await this.frame.evaluate(place);
      order.push(before);
      await workbench.page.keyboard.press(key);
      await until("the next stop", async () => (await this.frame.evaluate(place)) !== before);
    }
  }

  async ask(question: string): Promise<void> {
    const before = await this.turns.count();
    await this.question.fill(question);
    await this.question.press("Enter");
    await until("the new turn", async () => (await this.turns.count()) > before);
  }

  /** Waits for the end of what is in work. */
  async ended(): Promise<void> {
    await this.lastTurn.locator(".turn-buttons, .note-error").first().waitFor({ timeout: answerTime });
    await this.askButton.waitFor({ timeout: answerTime });
  }

  async answer(): Promise<string> {
    return textOf(this.lastTurn.locator("quire-markdown"));
  }

  /** Figures of the last answer, also those that are folded. */
  details(): Promise<string> {
    return textOf(this.lastTurn.locator(".answer-details"));
  }

  /** What was read and left out, also what is folded. */
  reading(): Promise<string> {
    return textOf(this.frame.locator("details.reading"));
  }

  /** Sentences that a screen reader was given and that are still in the region. */
  async sentences(): Promise<string[]> {
    return this.frame.locator("quire-live-region p").allTextContents();
  }

  /** Tokens in memory, of question and answer, and free. */
  async meter(): Promise<[number, number, number]> {
    const words = await textOf(this.frame.locator(".meter-words"));
    const numbers = [...words.matchAll(/[\d,]+/g)].map(([digits]) => Number(digits.replaceAll(",", "")));
    const [memory = Number.NaN, thread = Number.NaN, free = Number.NaN] = numbers;
    return [memory, thread, free];
  }
}

/** An element's text with its white space as one blank. */
export async function textOf(element: Locator): Promise<string> {
  return ((await element.textContent()) ?? "").replace(/\s+/g, " ").trim();
}
