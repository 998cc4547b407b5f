// meter.ts — how full the context is: tokens of memory, of the thread's questions and answers, and what is free.
//
// In: the meter's numbers. Out: a bar with three parts and the same in words beside it. The bar is SVG: widths as attributes,
// which the page's policy allows, and fills that stay in high contrast.

import { html, svg, type TemplateResult } from "lit";
import { numberText, percentText } from "../../words/figures.ts";
import type { PanelState } from "../messages.ts";

type Meter = NonNullable<PanelState["meter"]>;

/** A part that is there can be seen. */
const leastWidth = 0.8;

export function meterView(meter: Meter): TemplateResult {
  const { memoryTokens, threadTokens, freeTokens } = meter;
  const total = Math.max(1, memoryTokens + threadTokens + freeTokens);
  const width = (tokens: number): number => (tokens === 0 ? 0 : Math.max(leastWidth, (100 * tokens) / total));
  const memory = Math.min(width(memoryTokens), 100 - width(threadTokens));
  const part = (name: string, x: number, share: number) =>
    svg`<rect class=${name} x="${x}%" y="0" width="${share}%" height="100%"></rect>`;
  return html`<div class="meter">
    <svg class="meter-bar" aria-hidden="true" width="100%" height="4">
      ${part("meter-free", 0, 100)} ${part("meter-memory", 0, memory)} ${part("meter-thread", memory, width(threadTokens))}
    </svg>
    <p class="meter-words" title="${percentText((memoryTokens + threadTokens) / total)} of the context is in use.">
      <span class="meter-label"><span class="swatch meter-memory"></span>${numberText(memoryTokens)} tokens in memory</span>
      <span class="meter-label"
        ><span class="swatch meter-thread"></span>${numberText(threadTokens)} question and answer</span
      >
      <span class="meter-label"><span class="swatch meter-free"></span>${numberText(freeTokens)} free</span>
    </p>
  </div>`;
}
