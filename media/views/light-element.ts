// light-element.ts — a Lit element that renders into the page itself: one style sheet, one icon font, headings and labels that
// reach each other, find in page. The panel is one page of one author; it needs no borders within.

import { LitElement } from "lit";

export class LightElement extends LitElement {
  protected override createRenderRoot(): HTMLElement {
    return this;
  }
}
