// host-link.ts — the panel's only way out: typed messages to and from the extension host, and the draft that outlives a reload.
//
// In: what the webview's window receives. Out: messages of the schema; what does not fit is dropped and reported to the host's
// log. Nothing else of the panel touches acquireVsCodeApi.

import { type ToHost, type ToPanel, toPanel } from "./messages.ts";

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

/** Reports beyond this many are the same trouble over and over. */
const mostReports = 20;

export class HostLink {
  private readonly api: VsCodeApi;
  private reports = 0;

  constructor(api: VsCodeApi) {
    this.api = api;
  }

  send(message: ToHost): void {
    this.api.postMessage(message);
  }

  /** A line for the host's log: something in the panel broke. */
  report(message: string): void {
    if (this.reports++ < mostReports) this.send({ type: "report", message: message.slice(0, 2_000) });
  }

  /** What the host sent, or undefined where it is nothing that this panel understands. */
  parse(data: unknown): ToPanel | undefined {
    const parsed = toPanel.safeParse(data);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    this.report(`The panel dropped a message: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "not understood"}.`);
    return undefined;
  }

  get draft(): string {
    const state = this.api.getState();
    return isDraft(state) ? state.draft : "";
  }

  set draft(draft: string) {
    this.api.setState({ draft });
  }
}

function isDraft(state: unknown): state is { draft: string } {
  return typeof state === "object" && state !== null && "draft" in state && typeof state.draft === "string";
}
