import assert from "node:assert/strict";
import { JSDOM } from "jsdom";
import { page } from "../../../extension/panel/html.ts";

const parts = {
  cspSource: "'self' https://*.vscode-cdn.net",
  nonce: "bm9uY2U",
  script: "https://file.example/dist/panel.js?a=1&b=2",
  style: "https://file.example/dist/panel.css",
  place: "view" as const,
};

function policyOf(html: string): Map<string, string> {
  const { document } = new JSDOM(html).window;
  const policy = document.querySelector("meta[http-equiv='Content-Security-Policy']")?.getAttribute("content") ?? "";
  return new Map(
    policy.split("; ").map((rule): [string, string] => {
      const [name = "", ...values] = rule.split(" ");
      return [name, values.join(" ")];
    }),
  );
}

describe("the panel's page", () => {
  it("lets in its own script, style and fonts, and nothing else", () => {
    assert.deepEqual(
      policyOf(page(parts)),
      new Map([
        ["default-src", "'none'"],
        ["script-src", "'nonce-bm9uY2U'"],
        ["style-src", parts.cspSource],
        ["font-src", parts.cspSource],
        ["base-uri", "'none'"],
        ["form-action", "'none'"],
      ]),
    );
  });

  it("has one script, with the nonce, and a root to draw into", () => {
    const { document } = new JSDOM(page(parts)).window;
    const scripts = [...document.querySelectorAll("script")];
    assert.equal(scripts.length, 1);
    assert.equal(scripts[0]?.getAttribute("nonce"), parts.nonce);
    assert.equal(scripts[0]?.getAttribute("src"), parts.script);
    assert.equal(scripts[0]?.textContent, "");
    assert.equal(document.querySelector("link")?.getAttribute("href"), parts.style);
    assert.equal(document.querySelector("#root")?.children.length, 0);
    assert.equal(document.body.dataset.place, "view");
    assert.equal(document.documentElement.lang, "en");
  });

  it("keeps an odd address inside its attribute", () => {
    const { document } = new JSDOM(page({ ...parts, script: 'x"><img src=y>' })).window;
    assert.equal(document.querySelector("img"), null);
    assert.equal(document.querySelector("script")?.getAttribute("src"), 'x"><img src=y>');
  });
});
