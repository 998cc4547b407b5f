// panel-view.ts — <quire-panel>: the whole panel: header, thread, question box; it takes the host's messages and tells what the
// user did.
//
// In: messages, through `receive`. Out: messages, through `link`. Renders at most once a frame, however fast tokens come, and
// follows the end of the thread while the reader is there.

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { Announcer } from "../announce.ts";
import type { HostLink } from "../host-link.ts";
import type { CopyCode } from "../markdown/markdown-view.ts";
import type { PanelState, ToHost, ToPanel } from "../messages.ts";
import { applyMessage, type Shown, workingTurn } from "../panel-state.ts";
import { emptyView } from "./empty.ts";
import { engineFailure, hindranceView } from "./failure.ts";
import { LightElement } from "./light-element.ts";
import { LiveRegion } from "./live-region.ts";
import { QuestionBox } from "./question-box.ts";
import { readingView } from "./reading.ts";

/** Nearer to the end than this many pixels, the reader wants to see what comes. */
const followWithin = 48;

export class PanelView extends LightElement {
  static override properties = { shown: { state: true } };
  declare shown: Shown;
  /** Set before the element enters the document. */
  declare link: HostLink;
  private readonly announcer = new Announcer();
  private readonly send = (message: ToHost): void => this.link.send(message);
  private follows = true;
  /** Nothing of a thread has been shown yet. */
  private isNew = true;
  private wasWorking = false;

  /** Takes a message of the host. */
  receive(message: ToPanel): void {
    if (message.type === "focus") {
      this.arrive();
      return;
    }
    const before = this.shown;
    this.shown = applyMessage(before, message);
    if (message.type !== "state" && this.shown === before)
      this.link.report(`The panel has no turn for a message of type ${message.type}.`);
    const region = this.querySelector("quire-live-region");
    for (const announcement of this.announcer.next(this.shown))
      if (region instanceof LiveRegion) region.say(announcement);
  }

  /** Puts the cursor into the question box. */
  arrive(): void {
    this.box?.focus();
  }

  protected override async scheduleUpdate(): Promise<void> {
    if (this.hasUpdated) await new Promise((resolve) => requestAnimationFrame(resolve));
    super.scheduleUpdate();
  }

  protected override render(): TemplateResult {
    const { shown, link, send } = this;
    return html`<quire-header .shown=${shown} .send=${send}></quire-header>
      <main class="thread" tabindex="0" aria-label="Thread" @scroll=${this.scrolled}>
        ${shown === undefined ? nothing : this.thread(shown)}
      </main>
      <quire-question-box
        .isWorking=${shown !== undefined && workingTurn(shown) !== undefined}
        .hindered=${shown?.hindrance !== undefined}
        .history=${shown?.history ?? []}
        .draft=${link.draft}
        .ask=${(question: string) => this.ask(question)}
        .stop=${() => send({ type: "stop" })}
        .drafted=${(draft: string) => {
          link.draft = draft;
        }}
      ></quire-question-box>
      <quire-live-region></quire-live-region>`;
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    const isWorking = this.shown !== undefined && workingTurn(this.shown) !== undefined;
    const hasFailed = this.wasWorking && this.shown?.thread.turns.at(-1)?.state === "failed";
    // A finished answer stays where it is: its citations would push away what is being read. A failure's next step is shown.
    if (this.follows && (this.isNew || isWorking || hasFailed)) this.toEnd();
    this.isNew = this.shown === undefined;
    this.wasWorking = isWorking;
  }

  private thread(shown: PanelState): TemplateResult {
    const { turns } = shown.thread;
    const isWorking = workingTurn(shown) !== undefined;
    const open = (path: string): void => this.send({ type: "open", path, line: 0 });
    return html`${shown.hindrance === undefined ? nothing : hindranceView(shown.hindrance)}
    ${shown.engine.state === "failed" ? engineFailure(shown.engine.message, this.send) : nothing}
    ${shown.reading === undefined ? nothing : readingView(shown.reading, shown.engine.state !== "reading", open)}
    ${turns.length === 0 ? emptyView(shown, (question) => this.ask(question)) : nothing}
    ${repeat(
      turns,
      (turn) => turn.id,
      (turn) =>
        html`<quire-turn
          .turn=${turn}
          .mayAsk=${!isWorking && shown.hindrance === undefined}
          .send=${this.send}
          .copyCode=${this.copyCode}
        ></quire-turn>`,
    )}`;
  }

  private ask(question: string): void {
    this.follows = true;
    this.send({ type: "ask", question });
    this.box?.focus();
  }

  private readonly copyCode = async ({ code, done }: CopyCode): Promise<void> => {
    const region = this.querySelector("quire-live-region");
    try {
      await navigator.clipboard.writeText(code);
      done();
      if (region instanceof LiveRegion) region.say({ text: "Code copied.", urgent: false });
    } catch (error) {
      this.link.report(`Code could not be copied: ${error}`);
      if (region instanceof LiveRegion) region.say({ text: "The code could not be copied.", urgent: true });
    }
  };

  private get box(): QuestionBox | undefined {
    const box = this.querySelector("quire-question-box");
    return box instanceof QuestionBox ? box : undefined;
  }

  private scrolled(event: Event): void {
    const { target } = event;
    if (!(target instanceof HTMLElement)) return;
    this.follows = target.scrollHeight - target.scrollTop - target.clientHeight < followWithin;
  }

  private async toEnd(): Promise<void> {
    // The turns render after this element.
    await Promise.all(
      [...this.querySelectorAll("quire-turn")].map((turn) => "updateComplete" in turn && turn.updateComplete),
    );
    const thread = this.querySelector(".thread");
    if (this.follows && thread !== null) thread.scrollTop = thread.scrollHeight;
  }
}
