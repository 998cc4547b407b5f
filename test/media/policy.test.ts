// policy.test.ts — the panel's page of `npm run panel`, where its tests run, forbids what the editor's forbids.
import assert from "node:assert/strict";
import { page } from "../../extension/panel/html.ts";
import { servePanel } from "../../scripts/panel.mjs";

const policyOf = (html: string): string =>
  (/http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html)?.[1] ?? "").replaceAll("&#39;", "'");

describe("the policy of the panel's page", () => {
  it("is the same in a plain browser and in the editor", async function () {
    this.timeout(60_000);
    const { address, close } = await servePanel();
    try {
      const served = policyOf(await (await fetch(`${address}/panel`)).text());
      const nonce = /'nonce-([^']+)'/.exec(served)?.[1] ?? "";
      assert.notEqual(nonce, "");
      const parts = { cspSource: "'self'", nonce, script: "panel.js", style: "panel.css" };
      assert.equal(served, policyOf(page({ ...parts, place: "view" })));
    } finally {
      await close();
    }
  });
});
