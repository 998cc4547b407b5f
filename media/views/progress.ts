// progress.ts — a turn in work: what is done, how far it is, how long it will take.
//
// In: a turn's progress. Out: a sentence, a bar, figures. The bar tells a screen reader its share; the sentences are for the eye,
// and the live region says them at its own pace.

import { html, nothing, type TemplateResult } from "lit";
import "@vscode-elements/elements/dist/vscode-progress-bar/index.js";
import { progressWords } from "../../words/progress.ts";
import type { PanelProgress } from "../messages.ts";

export function progressView(progress: PanelProgress | undefined): TemplateResult {
  const { title, figures, share } = progressWords(progress ?? { stage: "starting" });
  return html`<div class="progress">
    <p class="progress-title">${title}</p>
    <vscode-progress-bar
      aria-label=${title}
      .value=${share === undefined ? undefined : Math.round(share * 1000) / 10}
      ?indeterminate=${share === undefined}
    ></vscode-progress-bar>
    ${figures === "" ? nothing : html`<p class="figures">${figures}</p>`}
  </div>`;
}
