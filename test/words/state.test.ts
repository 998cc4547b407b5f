// What a reader is told of the state that an answer read.

import assert from "node:assert/strict";
import { sinceText, stateBadge, stateSentence } from "../../words/state.ts";

const clean = {
  folders: [{ folder: "w", commit: "1a2b3c4d5", branch: "main", changedFiles: 0 }],
  unsavedFiles: 0,
  reading: "whole" as const,
};

describe("the words for the state that was read", () => {
  const cases: [string, Parameters<typeof stateBadge>[0], string, string][] = [
    [
      "a clean commit",
      clean,
      "Read at 1a2b3c4d5 (main) · read whole",
      "This answer read the files at commit 1a2b3c4d5 of branch main; everything was read whole.",
    ],
    [
      "changed files, an unsaved editor among them, encoded in place",
      {
        folders: [{ folder: "w", commit: "1a2b3c4d5", branch: "", changedFiles: 2 }],
        unsavedFiles: 1,
        reading: "edited in place",
      },
      "Read at 1a2b3c4d5 · 2 files changed since that commit · 1 unsaved editor included · edited in place",
      "This answer read the files at commit 1a2b3c4d5, 2 files changed since that commit, 1 unsaved editor included; what was edited since was encoded at its place.",
    ],
    [
      "several folders",
      {
        ...clean,
        folders: [
          { folder: "app", commit: "1a2b3c4d5", branch: "main", changedFiles: 1 },
          { folder: "lib", commit: "5d4c3b2a1", branch: "", changedFiles: 0 },
        ],
      },
      "Read at app 1a2b3c4d5 (main), lib 5d4c3b2a1 · 1 file changed since these commits · read whole",
      "This answer read the files at commit 1a2b3c4d5 of branch main in app and commit 5d4c3b2a1 in lib, 1 file changed since these commits; everything was read whole.",
    ],
    [
      "no git",
      { folders: [], unsavedFiles: 0, reading: "whole" },
      "Read as the files were · read whole",
      "This answer read the files as they were when it was asked; everything was read whole.",
    ],
  ];
  for (const [what, state, badge, sentence] of cases) {
    it(`name ${what}`, () => {
      assert.equal(stateBadge(state), badge);
      assert.equal(stateSentence(state), sentence);
    });
  }

  it("show what a branch's name hides", () => {
    const [folder] = clean.folders;
    assert.ok(folder !== undefined);
    const hidden = { ...clean, folders: [{ ...folder, branch: "ma\u202ein" }] };
    assert.ok(!stateBadge(hidden).includes("\u202e"));
  });

  it("name the first files that changed since, and count the rest", () => {
    assert.equal(sinceText([]), "");
    assert.equal(sinceText(["a.ts"]), "Changed since this answer: a.ts.");
    assert.equal(sinceText(["a", "b", "c", "d", "e"]), "Changed since this answer: a, b, c and 2 more.");
  });
});
