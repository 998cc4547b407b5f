// failure.ts — what went wrong, the next step, and buttons that take it.
//
// In: a failure, or a hindrance. Out: a note with buttons. Which button fits is told by the failure's code.

import { html, nothing, type TemplateResult } from "lit";
import type { PanelTurn, ToHost } from "../messages.ts";
import { button, icon } from "./buttons.ts";

type Failure = NonNullable<PanelTurn["failure"]>;

/** Failures that a setting mends. */
const settingsHelp = new Set([
  "bad-option",
  "empty-workspace",
  "budget-too-small",
  "budget-too-large",
  "unknown-model",
  "invalid-model",
  "unsupported-model",
  "out-of-memory",
  "model-missing",
]);

export function failureView(failure: Failure, turn: string, send: (message: ToHost) => void): TemplateResult {
  const needsThread = failure.code === "memory-full";
  return html`<div class="note note-error">
    ${icon("error")}
    <div class="note-body">
      <p><strong>${failure.message}</strong></p>
      ${failure.nextStep === "" ? nothing : html`<p>${failure.nextStep}</p>`}
      <div class="buttons">
        ${
          needsThread
            ? button("New thread", () => send({ type: "new thread" }), { kind: "primary" })
            : button("Ask again", () => send({ type: "ask again", turn }), { kind: "primary" })
        }
        ${settingsHelp.has(failure.code) ? button("Open settings", () => send({ type: "open settings" })) : nothing}
        ${button("Show log", () => send({ type: "show log" }))}
      </div>
    </div>
  </div>`;
}

/** The engine itself failed, outside of a question. */
export function engineFailure(message: string, send: (message: ToHost) => void): TemplateResult {
  return html`<div class="note note-error">
    ${icon("error")}
    <div class="note-body">
      <p><strong>The engine failed.</strong> ${message}</p>
      <div class="buttons">${button("Show log", () => send({ type: "show log" }))}</div>
    </div>
  </div>`;
}

/** Why nothing can be asked here. */
export function hindranceView(text: string): TemplateResult {
  return html`<div class="note note-info">
    ${icon("info")}
    <div class="note-body"><p>${text}</p></div>
  </div>`;
}
