// main.ts — the panel's entry in the webview: names the elements, wires the window's messages to the panel, reports what breaks.

import "@vscode/codicons/dist/codicon.css";
import "./styles/page.css";
import "./styles/header.css";
import "./styles/thread.css";
import "./styles/answer.css";
import "./styles/question-box.css";
import { onArrival } from "./arrival.ts";
import { HostLink } from "./host-link.ts";
import { MarkdownView } from "./markdown/markdown-view.ts";
import { HeaderView } from "./views/header-view.ts";
import { LiveRegion } from "./views/live-region.ts";
import { PanelView } from "./views/panel-view.ts";
import { QuestionBox } from "./views/question-box.ts";
import { TurnView } from "./views/turn-view.ts";

declare function acquireVsCodeApi(): ConstructorParameters<typeof HostLink>[0];

const link = new HostLink(acquireVsCodeApi());
window.addEventListener("error", (event) => link.report(`${event.message} (${event.filename}:${event.lineno})`));
window.addEventListener("unhandledrejection", (event) => link.report(`Unhandled: ${event.reason}`));
document.addEventListener("securitypolicyviolation", (event) =>
  link.report(`The page's policy refused ${event.blockedURI || event.sourceFile} (${event.violatedDirective}).`),
);

customElements.define("quire-markdown", MarkdownView);
customElements.define("quire-live-region", LiveRegion);
customElements.define("quire-header", HeaderView);
customElements.define("quire-turn", TurnView);
customElements.define("quire-question-box", QuestionBox);
customElements.define("quire-panel", PanelView);

const panel = new PanelView();
panel.link = link;
(document.getElementById("root") ?? document.body).append(panel);
onArrival(window, () => panel.arrive());
window.addEventListener("message", (event) => {
  const message = link.parse(event.data);
  if (message !== undefined) panel.receive(message);
});
// The host answers with the whole state; nothing is asked before the panel stands.
panel.updateComplete.then(() => link.send({ type: "ready" }));
