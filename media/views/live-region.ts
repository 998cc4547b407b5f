// live-region.ts — <quire-live-region>: where a screen reader hears what happens. Unseen; sentences are added, old ones go.

import type { Announcement } from "../announce.ts";

/** A sentence is read when it is added; those before it may still be in the reader's queue. */
const mostKept = 4;

export class LiveRegion extends HTMLElement {
  connectedCallback(): void {
    this.className = "unseen";
    for (const role of ["status", "alert"]) {
      const region = document.createElement("div");
      region.setAttribute("role", role);
      // Each sentence by itself: a status is otherwise read as a whole.
      region.setAttribute("aria-atomic", "false");
      this.append(region);
    }
  }

  say({ text, urgent }: Announcement): void {
    const region = this.querySelector(urgent ? '[role="alert"]' : '[role="status"]');
    if (region === null) return;
    const sentence = document.createElement("p");
    sentence.textContent = text;
    region.append(sentence);
    while (region.children.length > mostKept) region.firstElementChild?.remove();
  }
}
