// judge.test.ts — tricky answers and citations: denials in many words, a story after a denial, the wrong file first, wrong places.

import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { type CitedPlace, judge, judgeCitation, mentionsOf } from "./judge.ts";
import { type Question, readQuestions } from "./questions.ts";
import { repositories } from "./repositories.ts";

const there = (kind: Question["kind"], right: string[], more: Partial<Question> = {}): Question => ({
  id: "q",
  repository: "r",
  kind,
  question: "?",
  right,
  wrong: [],
  gold: { path: "src/pool.js", text: ["drain() {"] },
  ...more,
});
const missing = (...wrong: string[]): Question => ({
  id: "q",
  repository: "r",
  kind: "missing",
  question: "?",
  right: [],
  wrong,
});

function check(question: Question, answer: string, right: boolean): void {
  const verdict = judge(answer, question);
  assert.equal(verdict.right, right, `${JSON.stringify(answer)}: ${verdict.why}`);
}

describe("judge of what is there", () => {
  const port = there("value", ["\\b9000\\b"], { wrong: ["\\b8080\\b"] });
  it("takes the value in any wording", () => {
    check(port, "9000", true);
    check(port, "The default port is `9000`, set in `src/app.py`.", true);
    check(port, "It is 19000.", false);
  });
  it("takes no answer that says what is known to be wrong, no empty answer and no denial", () => {
    check(port, "It is 9000 or 8080.", false);
    check(port, "  ", false);
    check(port, "I don't find that in what I read.", false);
  });
  it("takes a right answer that speaks of what does not exist", () => {
    check(there("raises", ["\\bKeyError\\b"]), "If the key does not exist, `KeyError` is raised.", true);
  });
  it("needs both values where two are asked for", () => {
    const both = there("across", ["(?=[\\s\\S]*['`]s['`])[\\s\\S]*['`]ms['`]"]);
    check(both, "Either `ms` or `s`.", true);
    check(both, "It is `ms`.", false);
  });
  const file = there("defines", ["(?<!\\w)cache\\.py\\b"]);
  it("takes the first file that is named", () => {
    check(file, "`zict/cache.py`", true);
    check(file, "It is defined in cache.py and exported by `zict/__init__.py`.", true);
    check(file, "In `zict/__init__.py`, which imports it from `zict/cache.py`.", false);
    check(file, "In `zict/mycache.py`.", false);
    check(file, "In the cache module.", false);
  });
});

describe("judge of what is not there", () => {
  const option = missing("\\bmax_open\\b[^.\\n]*\\b(?:is|defaults?|\\d+)\\b", "\\b\\d+\\b", "\\b\\w+\\.py\\b");
  for (const answer of [
    "I don't find that in what I read.",
    "I don’t find `max_open` in this workspace.\nI don't find that in what I read.",
    "I do not see a `max_open` parameter.",
    "The parameter `max_open` is not defined in the provided files.",
    "There is no `max_open` in `zict/file.py`.",
    "`max_open` does not occur anywhere in the repository.",
    "No such parameter.",
    "The default of `max_open` is not specified in the given files.",
    "I don't find that in what I read. The class takes a directory and a flag.",
    "The repository doesn't contain `max_open`.",
    "I cannot find it.",
  ]) {
    it(`takes: ${answer}`, () => check(option, answer, true));
  }
  for (const answer of [
    "100",
    "The default is 100.",
    "I don't find `max_open` in this workspace.\nThe `max_open` parameter defaults to None.",
    "I don't find that in what I read. The default is 100.",
    "I don't find it in `file.py`. It is defined in `zict/buffer.py`.",
    "It is None.",
    "",
  ]) {
    it(`does not take: ${answer}`, () => check(option, answer, false));
  }
});

describe("judge of citations", () => {
  const lines = ["const limit = 3;", "class Pool {", "  drain() {", "    return limit;", "  }", "}"];
  const files = new Map([
    ["src/pool.js", lines],
    ["src/a.js", ["drain();", "// a pool"]],
  ]);
  const cite = (path: string, line: number, text?: string): CitedPlace => ({
    path,
    line,
    text: text ?? files.get(path)?.[line - 1] ?? "",
  });
  const right = (place: CitedPlace, mention: string, gold = true): boolean =>
    judgeCitation(place, mention, there("does", [], gold ? {} : { gold: undefined }), files).right;

  it("finds what a marker is about", () => {
    assert.deepEqual(mentionsOf("Use `Pool.drain` [1] of `src/pool.js` [2], see limit [3].\n```js\na();\n```\n[4]"), [
      { index: 1, mention: "Pool.drain" },
      { index: 2, mention: "src/pool.js" },
      { index: 3, mention: "limit" },
      { index: 4, mention: "a();\n" },
    ]);
  });
  it("takes the gold place, a definition, the file that is named, a quoted line", () => {
    assert.ok(right(cite("src/pool.js", 3), "Pool.drain()"));
    assert.ok(!right(cite("src/pool.js", 4), "whatever"));
    assert.ok(right(cite("src/pool.js", 3), "drain", false));
    assert.ok(right(cite("src/pool.js", 2), "Pool", false));
    assert.ok(right(cite("src/pool.js", 0), "pool.js"));
    assert.ok(right(cite("src/pool.js", 4), "return  limit;", false));
    assert.ok(right(cite("src/pool.js", 1), "const limit = 3;\nclass Pool {", false));
  });
  it("refuses a use where the definition is meant, another file, a line that is not so, a line without the name", () => {
    assert.ok(!right(cite("src/a.js", 1), "drain"));
    assert.ok(!right(cite("src/a.js", 0), "pool.js"));
    assert.ok(!right(cite("src/pool.js", 3, "something else"), "drain"));
    assert.ok(!right(cite("src/none.js", 1), "drain"));
    assert.ok(!right(cite("src/pool.js", 99, "x"), "drain"));
    assert.ok(!right(cite("src/pool.js", 2), "limit", false));
  });
});

describe("questions of the answers bench", () => {
  it("are 40 about small repositories, 6 of each kind and 10 about what is not there, and 10 about the large one", async () => {
    const questions = await readQuestions();
    const large = new Set(repositories.filter((repository) => repository.large).map(({ name }) => name));
    const small = questions.filter(({ repository }) => !large.has(repository));
    assert.equal(questions.length - small.length, 10);
    for (const kind of ["defines", "value", "does", "raises", "across", "missing"]) {
      assert.equal(small.filter((question) => question.kind === kind).length, kind === "missing" ? 10 : 6, kind);
    }
  });
  it("are about repositories of the list, each once, and do not hold their answer", async () => {
    const questions = await readQuestions();
    const names = new Set(repositories.map(({ name }) => name));
    assert.equal(new Set(questions.map(({ id }) => id)).size, questions.length);
    for (const { id, repository, right, question } of questions) {
      assert.ok(names.has(repository), id);
      for (const source of right) assert.ok(!new RegExp(source, "i").test(question), id);
    }
  });
});
