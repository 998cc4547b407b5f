// reading-groups.test.ts — what was read by detail and left out by reason: no file is lost, Quire's own documents are no files.
import assert from "node:assert/strict";
import { groupDocuments, groupLeftOut, ownTokens } from "../../words/reading.ts";

describe("groups of what was read", () => {
  const documents = [
    { path: "(instructions)", detail: "full" as const, tokens: 100 },
    { path: "a.ts", detail: "full" as const, tokens: 10 },
    { path: "b.ts", detail: "full" as const, tokens: 30 },
    { path: "c.ts", detail: "name" as const, tokens: 2 },
    { path: "(odd) name.ts", detail: "outline" as const, tokens: 5 },
    { path: "(outline)", detail: "outline" as const, tokens: 7 },
  ];

  it("count files and tokens by detail, the most of a file first", () => {
    assert.deepEqual(
      groupDocuments(documents).map(({ detail, files, tokens }) => [detail, files, tokens]),
      [
        ["full", 2, 40],
        ["outline", 1, 5],
        ["name", 1, 2],
      ],
    );
    assert.deepEqual(
      groupDocuments(documents)[0]?.paths.map(({ path }) => path),
      ["b.ts", "a.ts"],
    );
    assert.equal(ownTokens(documents), 107);
  });

  it("hold every file that was left out under its reason, the most common first", () => {
    const leftOut = [
      { path: "x.lock", reason: "lock file" },
      { path: "p.png", reason: "binary", detail: "by its name" },
      { path: "q.png", reason: "binary" },
    ];
    const groups = groupLeftOut(leftOut);
    assert.deepEqual(
      groups.map(({ reason, files }) => [reason, files.length]),
      [
        ["binary", 2],
        ["lock file", 1],
      ],
    );
    assert.equal(groups[0]?.files[0]?.detail, "by its name");
    assert.deepEqual(groupLeftOut([]), []);
  });
});
