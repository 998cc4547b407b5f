// memory-items.test.ts — the rows of the view of memories.

import assert from "node:assert/strict";
import type { MemoryRow } from "../../../engine/protocol.ts";
import { memoryItems } from "../../../extension/memories/memory-items.ts";

const now = 1_800_000_000_000;
const hour = 3_600_000;
const row = (change: Partial<MemoryRow> = {}): MemoryRow => ({
  id: "0123456789ab",
  kind: "memory",
  workspace: ["/home/me/quire"],
  model: "qwen2.5-coder-1.5b",
  backend: "cpu avx2",
  tokens: 27_012,
  patchedTokens: 0,
  states: 1,
  bytes: 812e6,
  ownBytes: 812e6,
  firstReadMs: now - 49 * hour,
  lastUsedMs: now - 2 * hour,
  pinned: false,
  ...change,
});

function itemOf(change: Partial<MemoryRow> = {}, open: string[] = []) {
  const [item] = memoryItems([row(change)], open, now);
  assert.ok(item);
  return item;
}

describe("the view of memories", () => {
  it("shows the folder's name with model, tokens, size and last use, and the rest in the tooltip", () => {
    const { label, description, tooltip, icon, context } = itemOf();
    assert.equal(label, "quire");
    assert.equal(description, "qwen2.5-coder-1.5b, 27,012 tokens, 812.0 MB, used 2 hours ago");
    assert.deepEqual(tooltip.split("\n"), ["/home/me/quire", description, "first read 2 days ago"]);
    assert.deepEqual([icon, context], ["database", "memory.unpinned"]);
  });

  it("says all of it to a screen reader in one sentence", () => {
    assert.equal(
      itemOf({ pinned: true, patchedTokens: 1200, states: 3, ownBytes: 800e6 }, ["/home/me/quire"]).spoken,
      "This workspace: quire, qwen2.5-coder-1.5b, 27,012 tokens, 812.0 MB, used 2 hours ago, first read 2 days ago, " +
        "pinned, 1,200 tokens patched after edits, 3 states, as of branches, 12.0 MB shared with other memories.",
    );
  });

  it("marks what is pinned, and the workspace that is open, whatever the order of its folders", () => {
    const { icon, context, description } = itemOf({ pinned: true, workspace: ["/a", "/b"] }, ["/b", "/a"]);
    assert.deepEqual([icon, context], ["pinned", "memory.pinned"]);
    assert.match(description, /^this workspace, .*, pinned$/);
    assert.doesNotMatch(itemOf({ workspace: ["/a"] }, ["/b", "/a"]).description, /this workspace/);
  });

  it("calls what belongs to no workspace by what it is, and offers neither pin nor reading again", () => {
    const { label, context, description } = itemOf({ kind: "rest", workspace: [], tokens: 0 });
    assert.deepEqual([label, context], ["Parts of earlier readings", "rest"]);
    assert.doesNotMatch(description, /tokens/);
  });

  it("spells out characters of a folder's name that cannot be seen", () => {
    assert.equal(itemOf({ workspace: ["C:\\work\\a\u202eb\\"] }).label, "a\\u{202e}b");
  });
});
