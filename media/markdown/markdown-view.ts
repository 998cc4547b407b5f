// markdown-view.ts — <quire-markdown>: an answer's Markdown, block by block; a block that stays the same keeps its elements.
//
// In: `show(markdown, citations)`, called again as the text grows. Out: elements in the document, and `cite` and `copy` events
// of its buttons. Elements that stay keep selection, focus and scroll place; what they cost does not grow with the answer.

import type { PanelCitation } from "../messages.ts";
import { type Block, BlockSplitter } from "./blocks.ts";
import { blockStarts, renderMarkdown } from "./render-markdown.ts";
import { createSanitiser } from "./sanitise.ts";

/** Whether a block's look depends on the answer's citations. */
const mayCite = /\[(?:\d{1,4}|\?)\]/;

interface Shown {
  source: string;
  plain: boolean;
  citations: readonly PanelCitation[];
  element: HTMLElement;
}

/** Detail of the event "copy-code". */
export interface CopyCode {
  code: string;
  /** Called when it is in the clipboard. */
  done(): void;
}

/** Milliseconds that a check mark is shown. */
const doneFor = 1_500;

const noCitations: readonly PanelCitation[] = [];

export class MarkdownView extends HTMLElement {
  private readonly splitter = new BlockSplitter(blockStarts);
  private readonly sanitise = createSanitiser(window);
  private shown: Shown[] = [];

  constructor() {
    super();
    this.addEventListener("click", (event) => this.pressed(event));
  }

  /** Shows the text; only blocks that differ from what is shown are rendered. Returns how many were. */
  show(markdown: string, citations: readonly PanelCitation[]): number {
    const blocks = this.splitter.split(markdown);
    let rendered = 0;
    blocks.forEach((block, at) => {
      const cites = !block.plain && mayCite.test(block.source) ? citations : noCitations;
      const before = this.shown[at];
      if (before !== undefined && isSame(before, block, cites)) return;
      const element = this.render(block, cites);
      rendered++;
      if (before === undefined) this.append(element);
      else before.element.replaceWith(element);
      this.shown[at] = { source: block.source, plain: block.plain, citations: cites, element };
    });
    for (const { element } of this.shown.splice(blocks.length)) element.remove();
    return rendered;
  }

  private render(block: Block, citations: readonly PanelCitation[]): HTMLElement {
    const element = document.createElement("div");
    element.className = block.plain ? "md-block md-plain" : "md-block";
    if (block.plain) element.textContent = block.source;
    else element.append(this.sanitise(renderMarkdown(block.source, citations)));
    return element;
  }

  /** A check mark in place of the button's icon, for a moment. */
  private showDone(button: Element): void {
    const icon = button.querySelector(".codicon");
    icon?.classList.replace("codicon-copy", "codicon-check");
    setTimeout(() => icon?.classList.replace("codicon-check", "codicon-copy"), doneFor);
  }

  private pressed(event: Event): void {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button === null) return;
    const cite = button.getAttribute("data-cite");
    if (cite !== null) this.dispatchEvent(new CustomEvent("cite", { detail: Number(cite) }));
    if (button.hasAttribute("data-copy")) {
      const code = button.closest(".md-code")?.querySelector("code")?.textContent ?? "";
      const detail: CopyCode = { code, done: () => this.showDone(button) };
      this.dispatchEvent(new CustomEvent("copy-code", { detail }));
    }
  }
}

function isSame(before: Shown, block: Block, citations: readonly PanelCitation[]): boolean {
  return before.source === block.source && before.plain === block.plain && before.citations === citations;
}
