// panel-views.ts — the panel's two places in the editor: a view in the side bar and an editor tab, both of one PanelController.
//
// Either may be open, or both. The tab comes back after a reload (WebviewPanelSerializer). Nothing is kept alive while hidden:
// a webview that is shown again says it is ready and gets the state.

import * as vscode from "vscode";
import { tabType, viewId } from "../names.ts";
import { page } from "./html.ts";
import type { PanelController } from "./panel-controller.ts";

export class PanelViews {
  readonly #extensionUri: vscode.Uri;
  readonly #controller: PanelController;
  #view: vscode.WebviewView | undefined;
  #tab: vscode.WebviewPanel | undefined;

  constructor(extensionUri: vscode.Uri, controller: PanelController) {
    this.#extensionUri = extensionUri;
    this.#controller = controller;
  }

  /** Shows the panel: the tab if there is one, else the view. The cursor goes into the question box only if asked for. */
  async reveal(focus: boolean): Promise<void> {
    if (this.#tab !== undefined) this.#tab.reveal(undefined, !focus);
    else if (this.#view !== undefined && !focus) this.#view.show(true);
    else await vscode.commands.executeCommand(`${viewId}.focus`);
    if (focus) this.#controller.focus();
  }

  openTab(): void {
    if (this.#tab !== undefined) {
      this.#tab.reveal();
      return;
    }
    this.adoptTab(vscode.window.createWebviewPanel(tabType, "Quire", vscode.ViewColumn.Beside, this.#options()));
  }

  /** A view that the editor wants filled. */
  adoptView(view: vscode.WebviewView): void {
    this.#view = view;
    view.webview.options = this.#options();
    this.#fill(view.webview, "view", (forget) =>
      view.onDidDispose(() => {
        forget();
        if (this.#view === view) this.#view = undefined;
      }),
    );
  }

  /** A tab, new or back after a reload; there is one at most. */
  adoptTab(tab: vscode.WebviewPanel): void {
    if (this.#tab !== undefined) {
      tab.dispose();
      return;
    }
    tab.webview.options = this.#options();
    this.#tab = tab;
    tab.iconPath = new vscode.ThemeIcon("book");
    this.#fill(tab.webview, "editor", (forget) =>
      tab.onDidDispose(() => {
        forget();
        if (this.#tab === tab) this.#tab = undefined;
      }),
    );
  }

  dispose(): void {
    this.#tab?.dispose();
  }

  #fill(webview: vscode.Webview, place: "editor" | "view", whenGone: (forget: () => void) => vscode.Disposable): void {
    const guest = this.#controller.attach({ post: (message) => void webview.postMessage(message) });
    const listening = webview.onDidReceiveMessage((message: unknown) => guest.receive(message));
    whenGone(() => {
      listening.dispose();
      guest.dispose();
    });
    const inDist = (name: string): string =>
      webview.asWebviewUri(vscode.Uri.joinPath(this.#extensionUri, "dist", name)).toString();
    webview.html = page({
      cspSource: webview.cspSource,
      nonce: crypto.randomUUID(),
      script: inDist("panel.js"),
      style: inDist("panel.css"),
      place,
    });
  }

  #options(): vscode.WebviewOptions {
    return {
      enableScripts: true,
      enableCommandUris: false,
      localResourceRoots: [vscode.Uri.joinPath(this.#extensionUri, "dist")],
    };
  }
}
