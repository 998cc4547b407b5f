// failure.ts — what went wrong, the next step, and buttons that take it.
//
// In: a failure, or a hindrance. Out: a note with buttons. Which buttons fit is said by the host.

import { html, nothing, type TemplateResult } from "lit";
import type { PanelFailure, Remedy, ToHost } from "../messages.ts";
import { button, icon } from "./buttons.ts";

const labels: Record<Remedy, string> = {
  "ask again": "Ask again",
  "choose model": "Choose model",
  "open settings": "Open settings",
  "show log": "Show log",
  "new thread": "New thread",
};

export function failureView(failure: PanelFailure, turn: string, send: (message: ToHost) => void): TemplateResult {
  const press = (remedy: Remedy) => () => send(remedy === "ask again" ? { type: remedy, turn } : { type: remedy });
  return html`<div class="note note-error">
    ${icon("error")}
    <div class="note-body">
      <p><strong>${failure.message}</strong></p>
      ${failure.nextStep === "" ? nothing : html`<p>${failure.nextStep}</p>`}
      <div class="buttons">
        ${failure.remedies.map((remedy, at) =>
          button(labels[remedy], press(remedy), { kind: at === 0 ? "primary" : "secondary" }),
        )}
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
