import assert from "node:assert/strict";
import { copyAnswer, encodePath, exportThread } from "../../../extension/talk/export-markdown.ts";
import type { PanelTurn } from "../../../media/messages.ts";
import { read } from "./read-markdown.ts";
import { result } from "./scripted-ask.ts";

const hostileName = "a](command:evil) ![x](http://e/i.png)\n<b>`.ts";

function turn(changes: Partial<PanelTurn> = {}): PanelTurn {
  const { stats } = result("", "");
  return {
    id: "t",
    askedAt: 0,
    question: "Where is it?",
    state: "done",
    text: "",
    notices: [],
    answer: {
      model: "smollm2-135m",
      preface: "other.ts is not in memory.",
      marked: "It is in `a.ts` [1], not `b` [?].",
      stop: "stop-token",
      citations: [
        {
          index: 1,
          path: "src/my file.ts",
          line: 12,
          text: "  const a = `1`;",
          verified: true,
          choices: [
            { path: "src/my file.ts", line: 12 },
            { path: "src/b.ts", line: 3 },
          ],
        },
        { index: 0, path: "", line: 0, text: "b", verified: false, choices: [] },
      ],
      lookedUp: [{ path: "src/c.ts", startLine: 4, endLine: 9, tokens: 80, why: "the question names `c`" }],
      loaded: [{ path: "src/d.ts", share: 0.256 }],
      stats,
    },
    ...changes,
  };
}

describe("a thread as Markdown", () => {
  it("has question, answer, citations by line, what was looked up, model and figures", () => {
    assert.equal(
      exportThread([turn()], encodePath),
      `## Where is it?

other.ts is not in memory.

It is in \`a.ts\` [\\[1\\]](<src/my%20file.ts#L12>), not \`b\` \\[?\\].

**Citations**

- \\[1\\] [src/my file.ts:12](<src/my%20file.ts#L12>), or [src/b.ts:3](<src/b.ts#L3>) \`\`const a = \`1\`;\`\`

**Added for this question**

- [src/c.ts:4](<src/c.ts#L4>) to line 9 (80 tokens): the question names \\\`c\\\`

**Loaded most (loaded is not the same as used)**

- [src/d.ts](<src/d.ts>) 26 %

*smollm2-135m: 12 tokens at 30 tokens/s, first after 0.7 s, 40 tokens read, 100 from memory, 10 of 20 pages attended, cpu avx2*
`,
    );
  });

  it("says what was stopped or failed, and shows what had come", () => {
    const { answer: _, ...bare } = turn();
    const stopped = exportThread([{ ...bare, state: "stopped", text: "half an" }], encodePath);
    assert.match(stopped, /half an\n\n\*Stopped before the end\.\*/);
    const failure = { code: "busy", message: "Busy.", nextStep: "Wait.", remedies: [] };
    assert.match(
      exportThread([{ ...bare, state: "failed", failure }], encodePath),
      /\*\*No answer\.\*\* Busy\. Wait\./,
    );
  });

  it("shows a question of several lines and the code it was about", () => {
    const scope = { path: "a.ts", startLine: 3, endLine: 5 };
    const text = exportThread([turn({ question: "# One\nmore", scope })], encodePath);
    assert.match(text, /^## \\# One\n\n> more\n\nAbout \[a\.ts:3\]\(<a\.ts#L3>\) to line 5\./);
  });

  it("takes hostile names for names", () => {
    const { answer, ...rest } = turn();
    assert.ok(answer !== undefined);
    const [citation] = answer.citations;
    assert.ok(citation !== undefined);
    const hostile = { ...answer, citations: [{ ...citation, path: hostileName, text: hostileName, choices: [] }] };
    const text = exportThread([{ ...rest, question: hostileName, answer: hostile }], encodePath);
    const { active } = read(text);
    assert.ok(active.length > 0 && active.every((address) => /^(a%5D|src\/)/.test(address)), active.join("\n"));
    assert.equal(encodePath(hostileName).match(/[\]()!<>\n`]/), null);
  });

  it("puts a path that leads nowhere as code, not as a link", () => {
    assert.match(
      exportThread([turn()], () => undefined),
      /- \\\[1\\\] `src\/my file\.ts:12`, or `src\/b\.ts:3`/,
    );
  });
});

describe("an answer for the clipboard", () => {
  it("is what was written, with the places of its citations", () => {
    assert.equal(
      copyAnswer(turn()),
      "other.ts is not in memory.\n\nIt is in `a.ts` [1], not `b` [?].\n\n[1] src/my file.ts:12",
    );
  });

  it("is what streamed so far, before there is an answer", () => {
    const { answer: _, ...bare } = turn();
    assert.equal(copyAnswer({ ...bare, text: " half an " }), "half an");
  });
});
