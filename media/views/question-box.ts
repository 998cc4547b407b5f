// question-box.ts — <quire-question-box>: where a question is typed. Enter asks, Shift+Enter begins a line, Up and Down recall
// earlier questions, Escape stops what is in work.
//
// In: whether something is in work, earlier questions, the draft. Out: the question, stop, the draft as it changes.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { longestQuestion } from "../messages.ts";
import { QuestionHistory } from "../question-history.ts";
import { button, icon } from "./buttons.ts";
import { LightElement } from "./light-element.ts";

/** Parts that a narrow panel has no room for are still read out. */
const keys = html`<kbd>Enter</kbd> asks<span class="wide">, <kbd>Shift+Enter</kbd> new line, <kbd>Up</kbd> recalls</span>`;
const workingKeys = html`<span class="wide"><kbd>Enter</kbd> asks next, </span><kbd>Esc</kbd> stops`;

export class QuestionBox extends LightElement {
  static override properties = {
    isWorking: { attribute: false },
    hindered: { attribute: false },
    history: { attribute: false },
    draft: { attribute: false },
    ask: { attribute: false },
    stop: { attribute: false },
    drafted: { attribute: false },
  };
  declare isWorking: boolean;
  /** Nothing can be asked here. */
  declare hindered: boolean;
  declare history: readonly string[];
  /** What the box held before the panel was loaded again. */
  declare draft: string;
  declare ask: (question: string) => void;
  declare stop: () => void;
  declare drafted: (text: string) => void;
  private readonly recalled = new QuestionHistory();

  override focus(): void {
    this.box?.focus();
  }

  protected override render(): TemplateResult {
    return html`<form class="question-box" aria-label="Question" @submit=${this.submitted}>
      <label class="unseen" for="question">Your question about this workspace</label>
      <textarea
        id="question"
        rows="1"
        maxlength=${longestQuestion}
        placeholder="Ask about this workspace"
        aria-describedby="question-keys"
        ?disabled=${this.hindered}
        @keydown=${this.pressed}
        @input=${this.typed}
      ></textarea>
      <div class="question-row">
        <p id="question-keys" class="figures">
          ${this.isWorking ? workingKeys : keys}
        </p>
        <div class="question-buttons">
          ${this.isWorking ? button("Stop", () => this.stop(), { icon: "debug-stop" }) : nothing}
          <button type="submit" class="button primary" ?disabled=${this.hindered}>
            ${icon("send")}<span>Ask</span>
          </button>
        </div>
      </div>
    </form>`;
  }

  protected override firstUpdated(changed: PropertyValues): void {
    super.firstUpdated(changed);
    this.hold(this.draft);
  }

  private get box(): HTMLTextAreaElement | null {
    return this.querySelector("textarea");
  }

  /** Puts a text into the box, the cursor behind it. */
  private hold(text: string): void {
    const { box } = this;
    if (box === null) return;
    box.value = text;
    box.setSelectionRange(text.length, text.length);
    this.fit();
  }

  private submitted(event: Event): void {
    event.preventDefault();
    const question = this.box?.value.trim() ?? "";
    if (question === "" || this.hindered) return;
    this.hold("");
    this.drafted("");
    this.recalled.reset();
    this.ask(question);
  }

  private typed(): void {
    this.recalled.reset();
    this.drafted(this.box?.value ?? "");
    this.fit();
  }

  private pressed(event: KeyboardEvent): void {
    // Enter that ends the composing of a character is not for us.
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) this.submitted(event);
    else if (event.key === "Escape" && this.isWorking) this.stop();
    else {
      const recalled = this.recall(event.key);
      if (recalled === undefined) return;
      event.preventDefault();
      this.hold(recalled);
      this.drafted(recalled);
    }
  }

  /** Up and Down move within what is typed; at its beginning, and among recalled questions, they recall. */
  private recall(key: string): string | undefined {
    const { box, recalled } = this;
    if (box === null) return undefined;
    if (key === "ArrowUp" && (recalled.isRecalling || (box.selectionStart === 0 && box.selectionEnd === 0)))
      return recalled.older(this.history, box.value);
    if (key === "ArrowDown" && recalled.isRecalling) return recalled.newer(this.history);
    return undefined;
  }

  /** As high as its text, up to the limit of the style sheet. */
  private fit(): void {
    const { box } = this;
    if (box === null) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
  }
}
