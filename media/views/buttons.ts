// buttons.ts — buttons and icons, one look and one way to name them.
//
// Native buttons: they bring keyboard, focus and forced colours with them (an element with role="button" scrolls the page at the
// space bar). An icon is never the only name of anything.

import { html, nothing, type TemplateResult } from "lit";

/** An icon of the codicon font, for the eye only. */
export function icon(name: string): TemplateResult {
  return html`<span class="codicon codicon-${name}" aria-hidden="true"></span>`;
}

/** Names longer than this many characters may break anywhere. */
const longestWhole = 24;

interface ButtonOptions {
  icon?: string;
  kind?: "primary" | "secondary" | "quiet";
  disabled?: boolean;
  title?: string;
}

/** A button with words. */
export function button(label: string, press: () => void, options: ButtonOptions = {}): TemplateResult {
  return html`<button
    type="button"
    class="button ${options.kind ?? "secondary"}"
    ?disabled=${options.disabled ?? false}
    title=${options.title ?? nothing}
    @click=${press}
  >
    ${options.icon === undefined ? nothing : icon(options.icon)}<span>${label}</span>
  </button>`;
}

/** A button with an icon alone; its label is its name and its tooltip. */
export function iconButton(label: string, name: string, press: () => void, disabled = false): TemplateResult {
  return html`<button
    type="button"
    class="icon-button"
    aria-label=${label}
    title=${label}
    ?disabled=${disabled}
    @click=${press}
  >
    ${icon(name)}
  </button>`;
}

/** A place in a file that opens in the editor. It breaks behind slashes, not within names. */
export function placeButton(label: string, press: () => void, title = `Open ${label}`): TemplateResult {
  const pieces = label
    .split(/(?<=\/)/)
    .map((piece) =>
      piece.length > longestWhole ? html`${piece}<wbr />` : html`<span class="piece">${piece}</span><wbr />`,
    );
  return html`<button type="button" class="place" title=${title} @click=${press}>${pieces}</button>`;
}
