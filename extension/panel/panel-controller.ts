// panel-controller.ts — keeps every open panel showing the same conversation, and does what their users ask for.
//
// In: changes of the talk and of the engine; messages of the panels, whatever they are. Out: messages by media/messages.ts, the
// whole state to a panel that says it is ready, then what changed, at most thirty times a second. A message that does not
// parse is dropped with a line in the log. Knows no editor: a panel is a `Port`.

import { type PanelState, type ToHost, type ToPanel, toHost } from "../../media/messages.ts";
import type { Change } from "../talk/conversation.ts";
import { Pace } from "./pace.ts";

/** Where messages to one webview go. */
export interface Port {
  post(message: ToPanel): void;
}

/** What the panels show. */
export interface PanelSource {
  state(): PanelState;
  onDidChange(listener: (change: Change) => void): { dispose(): void };
}

/** Everything that a panel's user can do, besides being ready. */
export type PanelWish = Exclude<ToHost, { type: "ready" } | { type: "report" }>;

export interface PanelDeps {
  source: PanelSource;
  act(wish: PanelWish): void;
  /** A line for the log. */
  warn(message: string): void;
  /** Milliseconds between two sendings. */
  every?: number;
}

interface Guest {
  port: Port;
  ready: boolean;
}

const longestReport = 2_000;

export class PanelController {
  readonly #deps: PanelDeps;
  readonly #guests = new Set<Guest>();
  readonly #pace: Pace;
  readonly #listening: { dispose(): void };
  /** The whole state is to be sent; it holds whatever else waits. */
  #stateWaits = false;
  #textWaits = new Map<string, string>();
  #progressWaits = new Map<string, ToPanel>();
  #focusWaits = false;

  constructor(deps: PanelDeps) {
    this.#deps = deps;
    this.#pace = new Pace(deps.every ?? 33, () => this.#flush());
    this.#listening = deps.source.onDidChange((change) => this.#changed(change));
  }

  /** A webview that shows the conversation from now on. It gets nothing before it has said that it is ready. */
  attach(port: Port): { receive(message: unknown): void; dispose(): void } {
    const guest: Guest = { port, ready: false };
    this.#guests.add(guest);
    return { receive: (message) => this.#receive(guest, message), dispose: () => void this.#guests.delete(guest) };
  }

  /** Puts the cursor into the question box; if no panel is ready yet, of the first that is. */
  focus(): void {
    const ready = [...this.#guests].filter((guest) => guest.ready);
    if (ready.length === 0) this.#focusWaits = true;
    for (const { port } of ready) port.post({ type: "focus" });
  }

  dispose(): void {
    this.#listening.dispose();
    this.#pace.dispose();
    this.#guests.clear();
  }

  #receive(guest: Guest, raw: unknown): void {
    const parsed = toHost.safeParse(raw);
    if (!parsed.success) {
      this.#deps.warn(`A message of the panel was dropped: ${parsed.error.message.slice(0, longestReport)}`);
      return;
    }
    const message = parsed.data;
    if (message.type === "ready") this.#welcome(guest);
    else if (message.type === "report")
      this.#deps.warn(`The panel reports: ${message.message.slice(0, longestReport)}`);
    else this.#deps.act(message);
  }

  /** The state holds all text so far: what waits is sent to the others first, so that none gets it twice. */
  #welcome(guest: Guest): void {
    this.#flush();
    guest.ready = true;
    guest.port.post({ type: "state", state: this.#deps.source.state() });
    if (!this.#focusWaits) return;
    this.#focusWaits = false;
    guest.port.post({ type: "focus" });
  }

  #changed(change: Change): void {
    if (change.kind === "turns") this.#stateWaits = true;
    else if (change.kind === "text")
      this.#textWaits.set(change.turn, (this.#textWaits.get(change.turn) ?? "") + change.text);
    else this.#progressWaits.set(change.turn, { type: "progress", turn: change.turn, progress: change.progress });
    this.#pace.want();
  }

  #flush(): void {
    const messages: ToPanel[] = this.#stateWaits
      ? [{ type: "state", state: this.#deps.source.state() }]
      : [
          ...this.#progressWaits.values(),
          ...[...this.#textWaits].map(([turn, text]): ToPanel => ({ type: "text", turn, text })),
        ];
    this.#stateWaits = false;
    this.#textWaits.clear();
    this.#progressWaits.clear();
    for (const { port, ready } of this.#guests) if (ready) for (const message of messages) port.post(message);
  }
}
