// header-view.ts — <quire-header>: what the engine does, with which model, how full the context is, and the panel's buttons.
//
// In: the panel's state. Out: what was pressed. The buttons are one tab stop; the arrow keys move among them.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { EngineState, ToHost } from "../messages.ts";
import type { Shown } from "../panel-state.ts";
import { iconButton } from "./buttons.ts";
import { LightElement } from "./light-element.ts";
import { meterView } from "./meter.ts";

export class HeaderView extends LightElement {
  static override properties = { shown: { attribute: false }, send: { attribute: false } };
  declare shown: Shown;
  declare send: (message: ToHost) => void;
  /** The button that was focused last: the tab key comes back to it. */
  private last: HTMLButtonElement | undefined;

  protected override render(): TemplateResult {
    const { shown, send } = this;
    const nothingAsked = (shown?.thread.turns.length ?? 0) === 0;
    return html`<header class="header">
      <h1 class="unseen">Quire</h1>
      <div class="header-row">
        <p class="engine">
          ${shown === undefined ? nothing : engineState(shown.engine)}
          ${shown?.reading === undefined ? nothing : html`<span class="model" title="Model">${shown.reading.model}</span>`}
        </p>
        <div class="toolbar" role="toolbar" aria-label="Quire" @keydown=${this.moved} @focusin=${this.focused}>
          ${iconButton("New thread", "add", () => send({ type: "new thread" }), nothingAsked)}
          ${iconButton("Export as Markdown", "export", () => send({ type: "export" }), nothingAsked)}
          ${iconButton("Settings", "settings-gear", () => send({ type: "open settings" }))}
          ${iconButton("Log", "output", () => send({ type: "show log" }))}
        </div>
      </div>
      ${shown?.meter === undefined ? nothing : meterView(shown.meter)}
    </header>`;
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    this.roam();
  }

  private get buttons(): HTMLButtonElement[] {
    return [...this.querySelectorAll<HTMLButtonElement>(".toolbar button")];
  }

  private roam(): void {
    const buttons = this.buttons;
    const stop = this.last?.disabled === false ? this.last : buttons.find((button) => !button.disabled);
    for (const button of buttons) button.tabIndex = button === stop ? 0 : -1;
  }

  private focused(event: FocusEvent): void {
    if (event.target instanceof HTMLButtonElement) this.last = event.target;
    this.roam();
  }

  private moved(event: KeyboardEvent): void {
    const usable = this.buttons.filter((button) => !button.disabled);
    const active = document.activeElement;
    const at = active instanceof HTMLButtonElement ? usable.indexOf(active) : -1;
    const last = usable.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at <= 0 ? last : at - 1, Home: 0, End: last }[
      event.key
    ];
    if (to === undefined) return;
    event.preventDefault();
    usable[to]?.focus();
  }
}

const stateWords: Record<EngineState["state"], string> = {
  stopped: "Not started",
  starting: "Starting",
  fetching: "Downloading",
  preparing: "Preparing",
  reading: "Reading",
  ready: "Ready",
  answering: "Answering",
  failed: "Failed",
};

function engineState(engine: EngineState): TemplateResult {
  const figure = "percent" in engine ? ` ${Math.floor(engine.percent)} %` : "";
  return html`<span class="engine-state state-${engine.state}"
    ><span class="state-dot" aria-hidden="true"></span>${stateWords[engine.state]}${figure}</span
  >`;
}
