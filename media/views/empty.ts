// empty.ts — the panel before the first question: what Quire does, what state it is in, and questions to begin with.
//
// In: the panel's state. Out: sentences and buttons; an example is asked when pressed.

import { html, nothing, type TemplateResult } from "lit";
import type { EngineState, PanelState } from "../messages.ts";
import { icon } from "./buttons.ts";

const examples = [
  "What does this project do, and where does it start?",
  "Which parts does it have, and how do they work together?",
  "Where are errors handled, and what does the user see?",
];

export function emptyView(state: PanelState, ask: (question: string) => void): TemplateResult {
  const hint = engineHint(state.engine);
  return html`<section class="empty" aria-labelledby="empty-title">
    <h2 id="empty-title">Ask about this workspace</h2>
    <p>
      Quire reads the whole workspace once and keeps it in memory; each answer then loads only the pages that it needs and
      cites the lines that it speaks of. Everything happens on this machine.
    </p>
    ${hint === "" ? nothing : html`<p class="figures">${hint}</p>`}
    <h3>Questions to begin with</h3>
    <ul class="examples">
      ${examples.map(
        (question) => html`<li>
          <button
            type="button"
            class="example"
            ?disabled=${state.hindrance !== undefined}
            @click=${() => ask(question)}
          >
            ${icon("comment-discussion")}<span>${question}</span>
          </button>
        </li>`,
      )}
    </ul>
  </section>`;
}

function engineHint(engine: EngineState): string {
  if (engine.state === "stopped")
    return "The engine starts with the first question, which takes longer than the later ones.";
  if (engine.state === "starting") return "The engine is starting.";
  if (engine.state === "fetching") return `The model is being downloaded: ${Math.floor(engine.percent)} %.`;
  if (engine.state === "reading") return `The workspace is being read: ${Math.floor(engine.percent)} %.`;
  if (engine.state === "ready") return "The engine is ready.";
  return "";
}
