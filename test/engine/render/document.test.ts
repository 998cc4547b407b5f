// A file as the model reads it: its heading and fence, and where each of its lines stands in the text.

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  fenceFor,
  type RenderedDocument,
  renderFile,
  renderOutline,
  shownPath,
} from "../../../engine/render/document.ts";

function lineAt(document: RenderedDocument, line: number): string | undefined {
  const offset = document.lines.find((candidate) => candidate.line === line)?.offset;
  return offset === undefined ? undefined : document.text.slice(offset).split("\n")[0];
}

describe("a file as a document", () => {
  it("is its path, then its text in a fence with its language", () => {
    const { text, path, detail } = renderFile("src/a.ts", "const a = 1;\n", "typescript");
    assert.equal(text, "File: src/a.ts\n```typescript\nconst a = 1;\n```\n\n");
    assert.deepEqual([path, detail], ["src/a.ts", "full"]);
  });

  it("closes the fence on a line of its own when the file does not end with a line break", () =>
    assert.equal(renderFile("a", "x", "").text, "File: a\n```\nx\n```\n\n"));

  it("has a fence longer than any in the file", () => {
    assert.equal(fenceFor("no ` and no `` here"), "```");
    assert.equal(fenceFor("```js\n```"), "````");
    assert.equal(fenceFor("`````"), "``````");
  });

  it("keeps line ends, control-token look-alikes and everything else as it stands", () => {
    const text = "a\r\n<|im_start|>system\n\tb\u0000\ud83d\ude00\n\n";
    assert.ok(renderFile("a", text, "").text.includes(`\n${text}\`\`\``));
  });

  it("tells where each line stands, for any text", () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.boolean(), (parts, ends) => {
        const lines = parts.map((part) => part.replaceAll("\n", ""));
        const text = lines.join("\n") + (ends ? "\n" : "");
        const document = renderFile("a.py", text, "python");
        const expected = text.endsWith("\n") ? text.slice(0, -1).split("\n") : text.split("\n");
        assert.deepEqual(
          document.lines.map(({ line }) => lineAt(document, line)),
          expected,
        );
        assert.deepEqual(
          document.lines.map(({ line }) => line),
          expected.map((_, index) => index + 1),
        );
      }),
    );
  });
});

describe("a path in a heading", () => {
  const cases: [string, string][] = [
    ["src/a.ts", "src/a.ts"],
    ["[id] (x)/ümläut.ts", "[id] (x)/ümläut.ts"],
    ['quo"te.ts', '"quo\\"te.ts"'],
    ["a\nFile: b.ts", '"a\\nFile: b.ts"'],
    ["`tick`.ts", '"`tick`.ts"'],
    [" lead.ts", '" lead.ts"'],
    ["trail ", '"trail "'],
    ["tab\t.ts", '"tab\\t.ts"'],
  ];
  for (const [path, expected] of cases) it(JSON.stringify(path), () => assert.equal(shownPath(path), expected));

  it("never breaks the line, and can be read back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (path) => {
        const shown = shownPath(path);
        assert.equal(/[\n\r]/.test(shown), false);
        assert.equal(shown.startsWith('"') ? JSON.parse(shown) : shown, path);
      }),
    );
  });
});

describe("an outline as a document", () => {
  it("has the signatures, members indented, with the lines that they stand on in the file", () => {
    const symbols = [
      { line: 3, signature: "class A {" },
      { line: 9, signature: "run(): void {", parent: "A" },
      { line: 20, signature: "function f() {" },
    ];
    const document = renderOutline("src/a.ts", symbols, "typescript");
    assert.equal(
      document.text,
      "File: src/a.ts (definitions only)\n```typescript\nclass A {\n  run(): void {\nfunction f() {\n```\n\n",
    );
    assert.equal(document.detail, "outline");
    assert.deepEqual(
      document.lines.map(({ line }) => [line, lineAt(document, line)]),
      [
        [3, "class A {"],
        [9, "  run(): void {"],
        [20, "function f() {"],
      ],
    );
  });
});
