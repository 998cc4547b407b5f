// answer-details.ts — how an answer came about: what was added for its question, which files were loaded, and its figures.
//
// In: an answer. Out: a section that opens. "Loaded" is what selection chose, never called a source: loaded is not the same as used.

import { html, nothing, type TemplateResult } from "lit";
import { counted, numberText, openly, percentText, rateText } from "../../words/figures.ts";
import type { PanelAnswer } from "../messages.ts";
import { placeButton } from "./buttons.ts";

type Open = (path: string, line: number) => void;

export function answerDetails(answer: PanelAnswer, open: Open): TemplateResult {
  const { lookedUp, loaded, stats } = answer;
  return html`<details class="card answer-details">
    <summary>
      <span class="summary-title">How this answer was made</span>
      <span class="summary-figures">${summaryFigures(stats)}</span>
    </summary>
    <div class="card-body">
      ${lookedUp.length === 0 ? nothing : addedForQuestion(lookedUp, open)} ${loaded.length === 0 ? nothing : loadedFiles(loaded, open)}
      <h3>Figures</h3>
      <ul class="rows figures">
        ${figures(stats).map((line) => html`<li>${line}</li>`)}
      </ul>
    </div>
  </details>`;
}

function addedForQuestion(lookedUp: PanelAnswer["lookedUp"], open: Open): TemplateResult {
  return html`<h3>Added for this question</h3>
    <ul class="rows">
      ${lookedUp.map(
        ({ path, startLine, endLine, tokens, why }) => html`<li>
          ${placeButton(`${openly(path)}:${startLine}–${endLine}`, () => open(path, startLine))}
          <p class="figures">${counted(tokens, "token")}: ${why}</p>
        </li>`,
      )}
    </ul>`;
}

function loadedFiles(loaded: PanelAnswer["loaded"], open: Open): TemplateResult {
  return html`<h3>Loaded files</h3>
    <p class="figures">By the share of attention that their loaded pages got. Loaded is not the same as used.</p>
    <ul class="rows apart">
      ${loaded.map(
        ({ path, share }) => html`<li>
          ${placeButton(openly(path), () => open(path, 0))} <span class="figures">${percentText(share)}</span>
        </li>`,
      )}
    </ul>`;
}

function pagesShare({ pagesAttended, pagesTotal }: PanelAnswer["stats"]): string {
  return percentText(pagesTotal > 0 ? pagesAttended / pagesTotal : 0);
}

function summaryFigures(stats: PanelAnswer["stats"]): string {
  return `${(stats.timeToFirstTokenMs / 1000).toFixed(1)} s to the first token · ${rateText(stats.decodeTokensPerSecond)} tokens/s`;
}

function figures(stats: PanelAnswer["stats"]): string[] {
  const patched = stats.patchedTokens ?? 0;
  const edited = `${counted(patched, "token")} of what is in memory were encoded in place, for files edited since it was read.`;
  return [
    `${numberText(stats.reusedTokens)} tokens were in memory already, ${numberText(stats.prefilledTokens)} were read in ${stats.prefillSeconds.toFixed(1)} s.`,
    ...(patched > 0 ? [edited] : []),
    `First token after ${(stats.timeToFirstTokenMs / 1000).toFixed(1)} s; then ${counted(stats.decodedTokens, "token")} at ${rateText(stats.decodeTokensPerSecond)} tokens/s.`,
    `${pagesShare(stats)} of the pages were loaded for each token of the answer.`,
    `Backend: ${stats.backend}.`,
  ];
}
