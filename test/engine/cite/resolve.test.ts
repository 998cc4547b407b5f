// resolve.test.ts — what of an answer becomes a citation, where it leads, and what is marked.

import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "mocha";
import { createCiteIndex } from "../../../engine/cite/cite-index.ts";
import { resolveCitations } from "../../../engine/cite/resolve.ts";
import type { CiteOptions, ReadDocument } from "../../../engine/cite/types.ts";

const sessions = `"""sessions"""
from .utils import get_netrc_auth, rewind_body

class Session:
    """A session."""

    def rebuild_auth(self, prepared, response):
        headers = prepared.headers
        new_auth = get_netrc_auth(url)
        if new_auth is not None:
            prepared.prepare_auth(new_auth)

    def get(self, url):
        return self.request("GET", url)

    def close(self):
        for v in self.adapters.values():
            v.close()
`;
const utils = `NETRC_FILES = (".netrc", "_netrc")
DEFAULT_PORTS = {"http": 80, "https": 443}


def get_netrc_auth(url, raise_errors=False):
    """Returns the Requests tuple auth for a given url from netrc."""
    return None


def rewind_body(prepared_request):
    raise UnrewindableBodyError("Unable to rewind request body for redirect.")
`;
const adapters = `from .utils import get_netrc_auth
DEFAULT_POOLSIZE = 10

class HTTPAdapter(BaseAdapter):
    def close(self):
        self.poolmanager.clear()
`;
const read: ReadDocument[] = [
  { path: "src/sessions.py", text: sessions, detail: "full" },
  { path: "src/utils.py", text: utils, detail: "full" },
  { path: "src/adapters.py", text: adapters.replaceAll("\n", "\r\n"), detail: "full" },
  { path: "lib/utils.py", text: "def other():\n    pass\n", detail: "full" },
  { path: "docs/übersicht.md", text: "# Übersicht\n\nDie Wörter stehen hier.\n", detail: "full" },
  { path: 'app/my "odd" file.ts', text: "export const oddValue = 1;\n", detail: "full" },
  {
    path: "src/part.ts",
    text: "export function partial(a: number) {\n  return a + 41;\n}",
    detail: "full",
    firstLine: 100,
  },
  { path: "src/only_outline.py", text: "def outlined(x)", detail: "outline" },
];
const index = createCiteIndex(
  read,
  new Map([
    ["src/only_outline.py", { symbols: [{ name: "outlined", line: 33, endLine: 40, signature: "def outlined(x)" }] }],
  ]),
);

/** "path:line", "path" for a whole file, "?" where not verified, "a|b" for a choice. */
function cites(answer: string, options: CiteOptions = {}): string[] {
  return resolveCitations(answer, index, options).citations.map(({ path, line, endLine, verified, choices }) => {
    if (choices !== undefined) return choices.map((choice) => `${choice.path}:${choice.line}`).join("|");
    const place = line === 0 ? path : `${path}:${line}${endLine === undefined ? "" : `-${endLine}`}`;
    return verified ? place : `?${place}`;
  });
}

const cases: [name: string, answer: string, expected: string[]][] = [
  ["a path by its suffix", "See sessions.py for it.", ["src/sessions.py"]],
  ["a whole path in backticks", "It is in `src/sessions.py`.", ["src/sessions.py"]],
  ["a path that begins with ./", "It is in `./src/sessions.py`.", ["src/sessions.py"]],
  ["backslashes", "It is in `src\\sessions.py`.", ["src/sessions.py"]],
  ["a path with a line", "See src/sessions.py:4 now.", ["src/sessions.py:4"]],
  ["a path with a range", "See `src/utils.py:5-7`.", ["src/utils.py:5-7"]],
  ["a path with #L", "See src/utils.py#L5-L7.", ["src/utils.py:5-7"]],
  ["a line in words after the path", "In `src/utils.py` at line 5.", ["src/utils.py:5"]],
  ["a line in words before the path", "On line 5 of `src/utils.py`.", ["src/utils.py:5"]],
  ["a line and a column", "src/utils.py:5:3 has it", ["src/utils.py:5"]],
  ["a path bare at the end of a sentence", "It is src/utils.py.", ["src/utils.py"]],
  ["a path of two files is a choice", "See utils.py.", ["lib/utils.py:0|src/utils.py:0"]],
  ["a line that was not read is not verified", "See src/utils.py:999.", ["?src/utils.py"]],
  ["a wrong line gives way to the symbol of the sentence", "`rewind_body` is in src/utils.py:2.", ["src/utils.py:10"]],
  ["a region keeps its file's lines", "The function `partial` does it.", ["src/part.ts:100"]],
  ["a line within a region", "See src/part.ts:101.", ["src/part.ts:101"]],
  ["a symbol of an outline", "`outlined` does.", ["src/only_outline.py:33"]],
  ["an identifier without backticks", "It calls rewind_body then.", ["src/utils.py:10"]],
  ["a call", "It calls rewind_body() then.", ["src/utils.py:10"]],
  ["a definition beats its uses", "`get_netrc_auth` returns it.", ["src/utils.py:5"]],
  ["a constant", "`DEFAULT_POOLSIZE` is 10.", ["src/adapters.py:2"]],
  ["path and symbol of one sentence are one place", "`rewind_body` in `src/utils.py` does it.", ["src/utils.py:10"]],
  ["a class by its word", "The Session class holds it.", ["src/sessions.py:4"]],
  ["a member of its class", "`HTTPAdapter.close` clears it.", ["src/adapters.py:5"]],
  ["two definitions are a choice", "`Session` and then `close_all`? `close_all`.", ["src/sessions.py:4", "?"]],
  ["a common name alone is not linked", "Use `get` for it, then `close`.", []],
  ["a common name with a path nearby is", "`get` in `src/sessions.py`.", ["src/sessions.py:13"]],
  ["ordinary words are not marked", "This returns nothing and/or fails, e.g. on Node.js.", []],
  ["an identifier that is nowhere is marked", "`made_up_function` does it.", ["?"]],
  ["a bare identifier that is nowhere is not", "made_up_function does it.", []],
  ["a file that is nowhere is marked", "See `src/nowhere.py`.", ["?"]],
  ["a bare file that is nowhere is marked", "See src/nowhere.py for it.", ["?"]],
  ["quoted code", "`if new_auth is not None:` guards it.", ["src/sessions.py:10"]],
  ["quoted code spaced otherwise", "`DEFAULT_POOLSIZE=10` is set.", ["src/adapters.py:2"]],
  ["quoted code that is nowhere is marked", "`if old_auth is not None:` guards it.", ["?"]],
  ["a quoted message", 'It says "Unable to rewind request body for redirect." then.', ["src/utils.py:11"]],
  ["a quoted sentence that is nowhere is plain", 'It says "This sentence was never written anywhere." then.', []],
  ["a unicode path", "Siehe docs/übersicht.md dort.", ["docs/übersicht.md"]],
  ["a path with spaces and quotes", 'See app/my "odd" file.ts for it.', ['app/my "odd" file.ts']],
  ["the name of such a file", 'See my "odd" file.ts for it.', ['app/my "odd" file.ts']],
  ["a markdown link", "[the session](src/sessions.py#L4) does.", ["src/sessions.py:4"]],
  ["a folder that was read is plain", "Everything in `src/` is Python.", []],
  ["what a media type looks like is plain", "Sends `application/json` back.", []],
];

describe("citations", () => {
  for (const [name, answer, expected] of cases) {
    it(name, () => assert.deepEqual(cites(answer), expected));
  }

  it("finds a block of code with lines left out", () => {
    const answer =
      "It does:\n\n```python\ndef rebuild_auth(self, prepared, response):\n    new_auth = get_netrc_auth(url)\n    if new_auth is not None:\n```\n";
    assert.deepEqual(cites(answer), ["src/sessions.py:7-10"]);
    const { marked } = resolveCitations(answer, index);
    assert.ok(marked.endsWith("```\n[1]\n"), marked);
  });

  it("does not verify a block of which only a part stands there", () => {
    const answer =
      '```python\nNETRC_FILES = (".netrc", "_netrc")\nDEFAULT_PORTS = {"http": 80, "https": 443}\nSOMETHING_ELSE = 17\n```';
    assert.deepEqual(cites(answer), ["?src/utils.py:1-2"]);
  });

  it("marks a block that is made up, but not a shell command", () => {
    assert.deepEqual(cites("```python\nimport flying_circus\nflying_circus.start_show()\n```"), ["?"]);
    assert.deepEqual(cites("```bash\nnpm run something-else\n```"), []);
  });

  it("puts the marker of a block in which the answer was cut off before that block", () => {
    // Bug: the marker was the last line of the code.
    const made = "```python\nimport flying_circus\nflying_circus.start";
    const marked = (answer: string): string => resolveCitations(answer, index).marked;
    assert.equal(marked(`Like this:\n\n${made}`), `Like this: [?]\n\n${made}`);
    assert.equal(marked(`Like this:\r\n${made}`), `Like this: [?]\r\n${made}`);
    assert.equal(marked(made), `[?]\n${made}`);
    assert.equal(marked(`\n${made}`), `[?]\n\n${made}`);
    assert.equal(
      marked(`\`close\` in \`src/adapters.py\`:\n${made}`),
      `\`close\` [1] in \`src/adapters.py\`: [?]\n${made}`,
    );
    // Neither on a fence's line nor as a table's cell.
    assert.equal(marked(`~~~sh\nls\n~~~\n${made}`), `~~~sh\nls\n~~~\n[?]\n${made}`);
    assert.equal(marked(`|a|\n|-|\n|b|\n\n${made}`), `|a|\n|-|\n|b|\n[?]\n\n${made}`);
    const real = '```python\nNETRC_FILES = (".netrc", "_netrc")\n';
    assert.equal(marked(`It is:\n${real}`), `It is: [1]\n${real}`);
  });

  it("takes a line that begins with a span of three backticks for no fence", () => {
    assert.deepEqual(cites("```rewind_body``` rewinds, see\n`DEFAULT_POOLSIZE`."), [
      "src/utils.py:10",
      "src/adapters.py:2",
    ]);
  });

  it("takes the definition in the file that the sentence names", () => {
    assert.deepEqual(cites("`close` in `src/adapters.py` clears."), ["src/adapters.py:5"]);
    assert.deepEqual(cites("`close` in `src/sessions.py` loops."), ["src/sessions.py:16"]);
  });

  it("orders a choice by attention mass", () => {
    const answer = "See utils.py.";
    assert.deepEqual(cites(answer, { pageMass: new Map([["src/utils.py", 0.5]]) }), ["src/utils.py:0|lib/utils.py:0"]);
  });

  it("gives one place one number, however often it is named", () => {
    const { citations, marked } = resolveCitations(
      "`rewind_body` rewinds. Then `rewind_body` raises. See `Session`.",
      index,
    );
    assert.deepEqual(
      citations.map(({ index: n, mentions }) => [n, mentions.length]),
      [
        [1, 2],
        [2, 1],
      ],
    );
    assert.equal(marked, "`rewind_body` [1] rewinds. Then `rewind_body` [1] raises. See `Session` [2].");
  });

  it("anchors the piece of the answer, and gives the line as it was read, without its carriage return", () => {
    const answer = "The value of `DEFAULT_POOLSIZE` is 10.";
    const [citation] = resolveCitations(answer, index).citations;
    assert.ok(citation !== undefined);
    assert.equal(answer.slice(citation.anchor.start, citation.anchor.end), "`DEFAULT_POOLSIZE`");
    assert.equal(citation.text, "DEFAULT_POOLSIZE = 10");
  });

  it("resolves folder names of a multi-root workspace", () => {
    const roots: ReadDocument[] = ["web", "api"].map((root) => ({
      path: `${root}/src/main.ts`,
      text: `export const ${root}Port = 1;\n`,
      detail: "full",
    }));
    const found = (answer: string): unknown[] =>
      resolveCitations(answer, roots).citations.map(({ path, choices }) => [path, choices?.length ?? 1]);
    assert.deepEqual(found("See `web/src/main.ts`."), [["web/src/main.ts", 1]]);
    assert.deepEqual(found("See `src/main.ts`."), [["api/src/main.ts", 2]]);
    assert.deepEqual(found("`webPort` is in `src/main.ts`."), [["web/src/main.ts", 1]]);
  });

  it("cites a line that is in a document and in a region once", () => {
    const both: ReadDocument[] = [
      { path: "a.py", text: "x_one = 1\nx_two = 2\n", detail: "full" },
      { path: "a.py", text: "x_two = 2", detail: "full", firstLine: 2 },
    ];
    const [citation] = resolveCitations("`x_two` is 2.", both).citations;
    assert.deepEqual([citation?.line, citation?.choices], [2, undefined]);
  });
});

describe("hostile answers", () => {
  const inside = (answer: string): void => {
    for (const { path, choices } of resolveCitations(answer, index).citations) {
      for (const one of [path, ...(choices ?? []).map((choice) => choice.path)])
        assert.ok(one === "" || index.paths.has(one), one);
    }
  };
  const attacks = [
    "See `../../etc/passwd` and ../../../src/sessions.py and /etc/shadow.txt.",
    "[click](command:workbench.action.terminal.new) [x](javascript:alert(1)) [y](file:///etc/passwd)",
    "<img src=x onerror=alert(1)> <a href='command:foo'>src/sessions.py</a>",
    "`(a+)+$` `[^` `\\p{` `$&` `.*` `__proto__` `constructor` `hasOwnProperty`",
    "`src/sessions.py\0/../../etc/passwd` `src/../src/sessions.py`",
    `${"`".repeat(1001)} ${"(".repeat(5000)} ${"a/".repeat(5000)} ${"src/sessions.py:".repeat(500)}`,
    "https://example.org/src/sessions.py#L4 vscode://file/src/sessions.py",
    "C:\\Windows\\System32\\drivers.txt `\\\\host\\share\\sessions.py`",
    "```\n" + "x".repeat(100_000),
  ];
  for (const attack of attacks) {
    it(`never leads outside: ${JSON.stringify(attack.slice(0, 50))}`, () => inside(attack));
  }

  it("does not link up the tree, and marks it", () => {
    assert.deepEqual(cites("See `../../src/sessions.py`."), ["?"]);
  });

  it("takes no links from URLs", () => {
    assert.deepEqual(cites("https://example.org/blob/src/sessions.py and command:src/sessions.py"), []);
  });

  it("whatever the answer: only read paths, lines that stand there, and no text lost", () => {
    const pieces = fc.constantFrom(
      "src/sessions.py",
      "utils.py:5",
      "`rewind_body`",
      "`get_netrc_auth(url)`",
      "../",
      "\n\n",
      "```",
      "`",
      " line 3 of ",
      "#L9",
      "](",
      "[x](",
      ")",
      ". ",
      "Session.close",
      "\0",
      '"',
      "<b>",
      "command:",
      "https://",
      "übersicht.md",
      "999999999999",
      "\r\n",
      "def ",
      "(",
      "constructor",
      "__proto__",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string({ maxLength: 6 })), { maxLength: 40 }), (parts) => {
        const answer = parts.join("");
        const { citations, marked } = resolveCitations(answer, index);
        for (const { path, line, text, verified, mentions } of citations) {
          assert.ok(path === "" ? !verified : index.paths.has(path));
          if (verified && line > 0) assert.equal(index.lineOf(path, line)?.text, text);
          for (const { start, end } of mentions) assert.ok(start >= 0 && start < end && end <= answer.length);
        }
        const kept = marked.replace(/[ \n]\[(?:\d+|\?)\]|^\[(?:\d+|\?)\]\n/g, "");
        assert.equal(kept.length <= answer.length && marked.length >= answer.length, true);
      }),
      { numRuns: 400 },
    );
  });

  it("answers for 10 MB in bounded time and keeps all its text", () => {
    const answer = "`rewind_body` in src/utils.py, and ../../etc/passwd. <b>x</b>\n".repeat(160_000);
    const start = performance.now();
    const { marked } = resolveCitations(answer, index);
    assert.ok(performance.now() - start < 3_000);
    assert.equal(marked.replace(/ \[(?:\d+|\?)\]/g, ""), answer);
  });
});

describe("speed of citing", () => {
  it("a 3 000-token answer over 2 MB takes no longer than building the index", () => {
    const files: ReadDocument[] = Array.from({ length: 200 }, (_, i) => ({
      path: `src/module_${i}.py`,
      text: Array.from(
        { length: 250 },
        (_, j) => `def function_${i}_${j}(first, second):\n    return first_${j} + second`,
      ).join("\n"),
      detail: "full",
    }));
    assert.ok(files.reduce((sum, { text }) => sum + text.length, 0) > 2_000_000);
    const beforeIndex = performance.now();
    const large = createCiteIndex(files);
    const indexing = performance.now() - beforeIndex;
    const answer = Array.from(
      { length: 120 },
      (_, i) =>
        `\`function_${i}_${i}\` in \`src/module_${i}.py\` returns \`return first_${i} + second\`, see module_${i}.py:3. Some words.`,
    ).join("\n");
    resolveCitations(answer, large);
    const before = performance.now();
    const { citations } = resolveCitations(answer, large);
    const citing = performance.now() - before;
    assert.ok(citations.length >= 120);
    assert.ok(citing < Math.max(50, indexing), `citing ${citing.toFixed(0)} ms, indexing ${indexing.toFixed(0)} ms`);
  });
});
