// state-badge.ts — which state of the repository an answer read, and what changed since: a line under the answer.
//
// In: what the engine said, the files that changed later. Out: the badge for the eye, the same as a sentence for a screen reader.

import { html, nothing, type TemplateResult } from "lit";
import { sinceText, stateBadge, stateSentence } from "../../words/state.ts";
import type { PanelAnswer, PanelTurn } from "../messages.ts";
import { icon } from "./buttons.ts";

export function stateBadgeView(
  state: PanelAnswer["state"],
  changedSince: PanelTurn["changedSince"] = [],
): TemplateResult | typeof nothing {
  if (state === undefined) return nothing;
  return html`<p class="figures answer-state">
      ${icon("git-commit")}<span aria-hidden="true">${stateBadge(state)}</span
      ><span class="unseen">${stateSentence(state)}</span>
    </p>
    ${changedSince.length === 0 ? nothing : html`<p class="notice answer-since">${icon("history")}<span>${sinceText(changedSince)}</span></p>`}`;
}
