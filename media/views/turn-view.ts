// turn-view.ts — <quire-turn>: a question and what became of it: progress, the answer as it streams, citations, details, failure.
//
// In: a turn. Out: what was pressed. It renders again only when its turn is another object; the answer's Markdown keeps its
// finished blocks.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { openly } from "../../words/figures.ts";
import { type CopyCode, MarkdownView } from "../markdown/markdown-view.ts";
import type { PanelAnswer, PanelTurn, ToHost } from "../messages.ts";
import { markdownOf } from "../panel-state.ts";
import { answerDetails } from "./answer-details.ts";
import { button, icon, placeButton } from "./buttons.ts";
import { citationId, citationsView } from "./citations.ts";
import { failureView } from "./failure.ts";
import { LightElement } from "./light-element.ts";
import { progressView } from "./progress.ts";
import { stateBadgeView } from "./state-badge.ts";

const noCitations: PanelAnswer["citations"] = [];

export class TurnView extends LightElement {
  static override properties = {
    turn: { attribute: false },
    mayAsk: { attribute: false },
    send: { attribute: false },
    copyCode: { attribute: false },
  };
  declare turn: PanelTurn;
  /** Nothing is in work: the question may be asked again. */
  declare mayAsk: boolean;
  declare send: (message: ToHost) => void;
  declare copyCode: (wish: CopyCode) => void;

  protected override render(): TemplateResult {
    const { turn } = this;
    const isWorking = turn.state === "working";
    const hasText = turn.text !== "" || turn.answer !== undefined;
    return html`<article class="turn" aria-labelledby="question-${turn.id}">
      ${turn.scope === undefined ? nothing : this.scope(turn.scope)}
      <h2 class="question" id="question-${turn.id}">${turn.question}</h2>
      ${turn.notices.map((notice) => html`<p class="notice">${icon("info")}<span>${notice}</span></p>`)}
      ${isWorking && !hasText ? progressView(turn.progress) : nothing}
      <quire-markdown
        class="answer"
        aria-busy=${isWorking}
        ?hidden=${!hasText}
        @cite=${this.cited}
        @copy-code=${(event: CustomEvent<CopyCode>) => this.copyCode(event.detail)}
      ></quire-markdown>
      ${isWorking && hasText ? html`<p class="writing figures">Writing …</p>` : nothing} ${this.ending()}
    </article>`;
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    const view = this.querySelector("quire-markdown");
    if (view instanceof MarkdownView) view.show(markdownOf(this.turn), this.turn.answer?.citations ?? noCitations);
  }

  private scope({ path, startLine, endLine }: NonNullable<PanelTurn["scope"]>): TemplateResult {
    const label = `${openly(path)}:${startLine}–${endLine}`;
    return html`<p class="scope">
      ${icon("selection")}<span class="unseen">About</span> ${placeButton(label, () => this.open(path, startLine))}
    </p>`;
  }

  private ending(): TemplateResult | typeof nothing {
    const { turn, send } = this;
    if (turn.state === "working") return nothing;
    const { answer, failure } = turn;
    const open = (path: string, line: number): void => this.open(path, line);
    return html`${failure === undefined ? nothing : failureView(failure, turn.id, send)}
    ${stopNote(turn) === "" ? nothing : html`<p class="notice">${icon("info")}<span>${stopNote(turn)}</span></p>`}
    ${answer === undefined ? nothing : citationsView(turn.id, answer.citations, open)}
    ${
      failure === undefined
        ? html`<div class="buttons turn-buttons">
            ${
              answer === undefined && turn.text === ""
                ? nothing
                : button("Copy", () => send({ type: "copy", turn: turn.id }), {
                    icon: "copy",
                    kind: "quiet",
                    title: "Copy the answer",
                  })
            }
            ${button("Ask again", () => send({ type: "ask again", turn: turn.id }), {
              icon: "refresh",
              kind: "quiet",
              disabled: !this.mayAsk,
            })}
          </div>`
        : nothing
    }
    ${answer === undefined ? nothing : html`${stateBadgeView(answer.state, turn.changedSince)} ${answerDetails(answer, open)}`}`;
  }

  private open(path: string, line: number): void {
    this.send({ type: "open", path, line });
  }

  /** A marker was pressed: a clear one opens its place, an unclear one leads to its choices. */
  private cited(event: CustomEvent<number>): void {
    const citation = this.turn.answer?.citations.find(({ index, verified }) => verified && index === event.detail);
    if (citation === undefined) return;
    if (citation.choices.length <= 1) {
      this.open(citation.path, citation.line);
      return;
    }
    const row = document.getElementById(citationId(this.turn.id, citation.index));
    row?.closest("details")?.setAttribute("open", "");
    row?.querySelector("button")?.focus();
  }
}

function stopNote({ state, answer }: PanelTurn): string {
  if (state === "stopped" || answer?.stop === "cancelled") return "Stopped.";
  if (answer?.stop === "length")
    return "The answer was cut off at its longest length; the setting quire.answer.maxTokens allows more.";
  if (answer?.stop === "repeats")
    return "The answer was cut where it began to repeat itself. A more precise question helps.";
  if (answer?.stop === "full") return "The answer was cut off: the context is full. Start a new thread to ask more.";
  return "";
}
