// workspace-key.test.ts — when two clients mean the same workspace, and when they must not.

import assert from "node:assert/strict";
import type { Workspace } from "../../engine/protocol.ts";
import { workspaceKey } from "../../engine/workspace-key.ts";

const of = (change: Partial<Workspace> = {}): Workspace => ({
  folders: [{ name: "a", root: "/w/a" }],
  include: [],
  exclude: [],
  trusted: true,
  unsaved: [],
  ...change,
});

describe("the key of a workspace", () => {
  const same: [string, Workspace][] = [
    ["whatever its editors hold", of({ unsaved: [{ path: "/w/a/x", text: "x" }] })],
    ["whatever its only folder is called", of({ folders: [{ name: "b", root: "/w/a" }] })],
    [
      "with rules that say nothing",
      of({ folders: [{ name: "a", root: "/w/a", include: [], details: {}, ignored: false }] }),
    ],
    ["with a slash behind its folder", of({ folders: [{ name: "a", root: "/w/a/" }] })],
  ];
  for (const [what, workspace] of same) {
    it(`is the same ${what}`, () => assert.equal(workspaceKey(workspace), workspaceKey(of())));
  }

  const two = [
    { name: "a", root: "/w/a" },
    { name: "b", root: "/w/b" },
  ];
  const others: [string, Workspace][] = [
    ["of another folder", of({ folders: [{ name: "a", root: "/w/b" }] })],
    ["of one that is not trusted", of({ trusted: false })],
    ["with files left out", of({ exclude: ["x"] })],
    ["with files left out of its folder", of({ folders: [{ name: "a", root: "/w/a", exclude: ["x"] }] })],
    ["with ignored files", of({ folders: [{ name: "a", root: "/w/a", ignored: true }] })],
    ["with a folder more", of({ folders: two })],
  ];
  for (const [what, workspace] of others) {
    it(`is another ${what}`, () => assert.notEqual(workspaceKey(workspace), workspaceKey(of())));
  }

  it("is another where several folders are called otherwise: paths begin with the names", () => {
    const renamed = two.map(({ root }) => ({ name: root, root }));
    assert.notEqual(workspaceKey(of({ folders: two })), workspaceKey(of({ folders: renamed })));
  });
});
