// host-link.test.ts — the panel's border: what does not fit the schema never gets in, and is reported, but not without end.
import assert from "node:assert/strict";
import { HostLink } from "../../media/host-link.ts";
import type { ToHost } from "../../media/messages.ts";

function linked(state?: unknown): { link: HostLink; sent: ToHost[]; kept: unknown[] } {
  const sent: ToHost[] = [];
  const kept: unknown[] = [];
  const link = new HostLink({
    postMessage: (message) => void sent.push(message as ToHost),
    getState: () => state,
    setState: (next) => void kept.push(next),
  });
  return { link, sent, kept };
}

describe("the link to the host", () => {
  const wrong: [string, unknown][] = [
    ["nothing", undefined],
    ["text", "state"],
    ["an unknown type", { type: "run", command: "rm" }],
    ["a state without a thread", { type: "state", state: { engine: { state: "ready" } } }],
    ["progress without figures", { type: "progress", turn: "a", progress: { stage: "reading" } }],
    ["a text that is none", { type: "text", turn: "a", text: 3 }],
  ];
  for (const [what, data] of wrong)
    it(`drops and reports ${what}`, () => {
      const { link, sent } = linked();
      assert.equal(link.parse(data), undefined);
      assert.deepEqual(
        sent.map(({ type }) => type),
        ["report"],
      );
    });

  it("lets in what fits", () => {
    const { link, sent } = linked();
    assert.deepEqual(link.parse({ type: "focus" }), { type: "focus" });
    assert.deepEqual(sent, []);
  });

  it("reports briefly and not for ever", () => {
    const { link, sent } = linked();
    for (let i = 0; i < 100; i++) link.report("x".repeat(10_000));
    assert.equal(sent.length, 20);
    assert.ok(JSON.stringify(sent[0]).length < 2_100);
  });

  it("keeps the draft, and reads none from what is no draft", () => {
    const { link, kept } = linked({ draft: "half" });
    assert.equal(link.draft, "half");
    link.draft = "more";
    assert.deepEqual(kept, [{ draft: "more" }]);
    for (const state of [undefined, null, "x", { draft: 3 }, []]) assert.equal(linked(state).link.draft, "");
  });
});
