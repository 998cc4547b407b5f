// evidence.test.ts — places for an answer that names none.

import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { citeEvidence } from "../../../engine/cite/evidence.ts";

const regions = [
  {
    path: "select.cpp",
    detail: "full" as const,
    firstLine: 10,
    text: "// Which pages of the list a head attends to.\n// Every query head votes for pages by the scores of their summaries.\nvoid select();",
  },
  {
    path: "store.ts",
    detail: "full" as const,
    text: "// Saves a document of the memory to disk, in a temporary file that is renamed when it is whole.",
  },
];

describe("an answer that names neither path nor symbol", () => {
  it("gets the line that shares most words, with a marker behind the sentence", () => {
    const answer =
      "Query heads vote for the pages by scores of summaries. A saved document is a renamed temporary file.";
    const { citations, marked } = citeEvidence(answer, regions);
    assert.deepEqual(
      citations.map(({ index, path, line, verified }) => ({ index, path, line, verified })),
      [
        { index: 1, path: "select.cpp", line: 11, verified: true },
        { index: 2, path: "store.ts", line: 1, verified: true },
      ],
    );
    assert.equal(citations[0]?.text, "// Every query head votes for pages by the scores of their summaries.");
    assert.equal(
      marked,
      "Query heads vote for the pages by scores of summaries. [1] A saved document is a renamed temporary file. [2]",
    );
    assert.equal(answer.slice(citations[0]?.anchor.start, citations[0]?.anchor.end), answer.slice(0, 54));
  });

  it("gets none for sentences that share few words, and stays as it is", () => {
    for (const answer of [
      "",
      "It depends on the weather.",
      "Pages are made of paper in most of the shops around here.",
    ]) {
      assert.deepEqual(citeEvidence(answer, regions), { citations: [], marked: answer });
    }
  });

  it("gets no marker within code", () => {
    const code = "```sh\nquery heads vote for the pages by scores of summaries\n```";
    assert.deepEqual(citeEvidence(code, regions), { citations: [], marked: code });
    const sentence = "Query heads vote for the pages by scores of summaries.";
    assert.equal(citeEvidence(`${sentence}\n${code}`, regions).marked, `${sentence} [1]\n${code}`);
  });

  it("gets one number for a place that two sentences rest on, and three places at most", () => {
    const sentence = "Query heads vote for pages by the scores of summaries.";
    const { citations, marked } = citeEvidence(Array(3).fill(sentence).join(" "), regions);
    assert.equal(citations.length, 1);
    assert.equal(citations[0]?.mentions.length, 3);
    assert.equal(marked.match(/\[1\]/g)?.length, 3);
  });

  it("is not pointed to outlines, whose text has no lines of the file", () => {
    const outlines = regions.map((region) => ({ ...region, detail: "outline" as const }));
    assert.deepEqual(citeEvidence("Query heads vote for pages by the scores of summaries.", outlines).citations, []);
  });
});
