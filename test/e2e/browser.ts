// browser.ts — Chromium without a window, and a record of what it asked for and complained about.
//
// Names other than 127.0.0.1 lead nowhere in it, so that a request that should not be made is recorded and fails.

import { type Browser, type BrowserContext, chromium } from "playwright-core";

export function launch(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
      "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    ],
  });
}

/** Webviews come from this host; a service worker answers for it, no request leaves. */
const webviewHost = /^https:\/\/[^/]*\.vscode-(?:resource\.vscode-)?cdn\.net\//;
const local = /^(?:(?:http|ws):\/\/127\.0\.0\.1[:/]|data:|blob:|about:|vscode-file:)/;

export class Record {
  /** Addresses that lie neither on this machine nor in the webviews' own host. */
  readonly strayRequests: string[] = [];
  /** What a page must not say: errors that nobody caught, and what its policy refused. */
  readonly complaints: string[] = [];

  constructor(context: BrowserContext) {
    context.on("request", (request) => {
      const url = request.url();
      if (!local.test(url) && !webviewHost.test(url)) this.strayRequests.push(url);
    });
    context.on("weberror", (error) => this.complaints.push(String(error.error())));
    context.on("console", (message) => {
      if (/Content Security Policy/i.test(message.text())) this.complaints.push(message.text());
    });
  }
}
