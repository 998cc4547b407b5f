// reading.ts — what of the workspace is in memory and what was left out: counts at first sight, every path behind them.
//
// In: what the host says of the reading. Out: a section that opens. No file is dropped in silence: long lists say how many more.

import { html, nothing, type TemplateResult } from "lit";
import { counted, numberText, openly } from "../../words/figures.ts";
import { groupDocuments, groupLeftOut, ownTokens } from "../../words/reading.ts";
import type { PanelReading } from "../messages.ts";
import { placeButton } from "./buttons.ts";

/** More rows than this help nobody and slow the panel down. */
const mostRows = 200;

export function readingView(reading: PanelReading, isRead: boolean, open: (path: string) => void): TemplateResult {
  const groups = groupDocuments(reading.documents);
  const leftOut = groupLeftOut(reading.leftOut);
  const files = groups.reduce((sum, group) => sum + group.files, 0);
  const own = ownTokens(reading.documents);
  const out = reading.leftOut.length;
  return html`<details class="card reading">
    <summary>
      <span class="summary-title">${isRead ? "What was read" : "What is being read"}</span>
      <span class="summary-figures"
        >${counted(files, "file")}, ${counted(reading.usedTokens, "token")} · ${numberText(out)} left out</span
      >
    </summary>
    <div class="card-body">
      <p>Token budget: ${reading.budgetReason}</p>
      <p class="figures">${numberText(reading.usedTokens)} of ${numberText(reading.tokenBudget)} tokens of the budget are used.</p>
      ${groups.map(
        ({ title, files, tokens, paths }) => html`<details>
          <summary>Read ${title}: ${counted(files, "file")}, ${counted(tokens, "token")}</summary>
          ${rows(
            paths,
            (row) =>
              html`${placeButton(openly(row.path), () => open(row.path))} <span class="figures">${numberText(row.tokens)}</span>`,
          )}
        </details>`,
      )}
      ${own === 0 ? nothing : html`<p class="figures">Besides: instructions and an outline of all files, ${counted(own, "token")}.</p>`}
      ${leftOut.map(
        ({ reason, files }) => html`<details>
          <summary>Left out, ${reason}: ${counted(files.length, "file")}</summary>
          ${rows(
            files,
            (row) =>
              html`${placeButton(openly(row.path), () => open(row.path))}
              ${row.detail === undefined ? nothing : html`<span class="figures">${row.detail}</span>`}`,
          )}
        </details>`,
      )}
      ${out === 0 ? html`<p>Nothing was left out.</p>` : nothing}
    </div>
  </details>`;
}

function rows<Row>(all: readonly Row[], row: (value: Row) => TemplateResult): TemplateResult {
  const more = all.length - mostRows;
  return html`<ul class="rows apart">
    ${all.slice(0, mostRows).map((value) => html`<li>${row(value)}</li>`)}
    ${more > 0 ? html`<li><span class="figures">and ${counted(more, "more file", "more files")}</span></li>` : nothing}
  </ul>`;
}
