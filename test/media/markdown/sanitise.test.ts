// sanitise.test.ts — Markdown of a model that read a hostile repository: whatever it holds, the document gets text and our own buttons.
import assert from "node:assert/strict";
import { JSDOM } from "jsdom";
import { renderMarkdown } from "../../../media/markdown/render-markdown.ts";
import { createSanitiser } from "../../../media/markdown/sanitise.ts";
import { cited } from "../citation.ts";

const { window } = new JSDOM("<!DOCTYPE html><body></body>", { runScripts: "dangerously", url: "https://panel.test/" });
const sanitise = createSanitiser(window);

function shown(markdown: string, citations = [cited(1, "src/a.ts", 3)]): Element {
  const element = window.document.createElement("div");
  element.append(window.document.importNode(sanitise(renderMarkdown(markdown, citations)), true));
  window.document.body.replaceChildren(element);
  return element;
}

/** What no answer may bring into the document. */
function assertHarmless(element: Element): void {
  const tags = [...element.querySelectorAll("*")].map((each) => each.localName);
  const forbidden = "script,img,svg,math,iframe,object,embed,a,form,input,style,link,meta,base,video,audio,template";
  assert.deepEqual(
    tags.filter((tag) => forbidden.split(",").includes(tag)),
    [],
  );
  for (const each of element.querySelectorAll("*"))
    for (const { name, value } of each.attributes) {
      assert.doesNotMatch(name, /^on|^href$|^src|^style$|^id$|^name$|^action|^formaction|^srcdoc/, `${each.outerHTML}`);
      assert.doesNotMatch(value, /^(?:javascript|command|data|vscode):/i);
    }
  assert.equal((window as unknown as { hit?: unknown }).hit, undefined, "a script ran");
}

const hostile: [string, string][] = [
  ["a script", "<script>window.hit = 1</script>"],
  ["a script over blocks", "<script>\n\nwindow.hit = 1\n\n</script>"],
  ["an image with an error handler", "<img src=x onerror=window.hit=1>"],
  ["an image of Markdown", "![beacon](https://evil.test/p.png?x=1)"],
  ["an image whose address breaks out", '![a](x" onerror="window.hit=1)'],
  ["an image whose description is HTML", "![<img src=x onerror=window.hit=1>](x)"],
  ["a link with a script", "[click](javascript:window.hit=1)"],
  [
    "a link with a disguised script",
    "[click](java&#115;cript:window.hit=1) [b](\u0001javascript:window.hit=1) [c](JaVaScRiPt:x)",
  ],
  ["a link to a command", "[run](command:workbench.action.terminal.sendSequence?%7B%7D)"],
  ["a link to the editor", "[open](vscode://file/etc/passwd)"],
  ["a link to data", "[x](data:text/html;base64,PHNjcmlwdD4=)"],
  ["an autolink with a script", "<javascript:window.hit=1> <command:x>"],
  ["an svg", "<svg onload=window.hit=1><animate onbegin=window.hit=1></svg>"],
  ["math and a style", "<math><mtext><style><img src=x onerror=window.hit=1></style></mtext></math>"],
  [
    "HTML nested in lists and quotes",
    "> - <iframe srcdoc='<script>window.hit=1</script>'></iframe>\n>   - <object data=x>",
  ],
  ["HTML in a table", "| a |\n|---|\n| <img src=x onerror=window.hit=1> |"],
  ["HTML in a heading", "# <img src=x onerror=window.hit=1>"],
  ["a fence whose language is HTML", '```"><img src=x onerror=window.hit=1>\ncode\n```'],
  ["a fence with HTML", "```html\n</code></pre><script>window.hit=1</script>\n```"],
  ["inline code with HTML", "`</code><script>window.hit=1</script>`"],
  ["link within link", "[a [b](javascript:1)](https://e.test '\" onclick=window.hit=1')"],
  ["a reference definition", '[a][b]\n\n[b]: javascript:window.hit=1 "title"'],
  ["our own button, written by the model", '<button data-cite="1" data-copy="code">1</button>'],
  ["a comment and a doctype", "<!-- --><!DOCTYPE x><![CDATA[<script>window.hit=1</script>]]><?php ?>"],
  ["entities", "&lt;script&gt;window.hit=1&lt;/script&gt; &#60;img src=x onerror=window.hit=1&#62;"],
  ["control characters and direction overrides", "\u202e<script>\u0000window.hit=1</script>\u2066"],
];

describe("Markdown of an answer", () => {
  for (const [what, markdown] of hostile) {
    it(`is harmless with ${what}`, () => {
      assertHarmless(shown(markdown));
      assert.equal(shown(markdown).querySelectorAll("[data-cite]").length, 0);
    });
  }

  it("shows raw HTML as the text that it is", () => {
    assert.match(shown("a <b>bold</b> word").textContent ?? "", /a <b>bold<\/b> word/);
  });

  const texts: [string, string, string][] = [
    ["an address beside a link's text", "see [docs](https://e.test/a%20b)", "see docs (https://e.test/a b)"],
    ["an address once where it is the text", "<https://e.test/x>", "https://e.test/x"],
    ["a path beside a link's text", "[config](src/config.ts)", "config (src/config.ts)"],
    ["where a command would have led", "[run](command:evil)", "run (command:evil)"],
    ["an image as its description", "![a cat](http://e.test/c.png)", "Image: a cat"],
    ["an image without description", "![](http://e.test/c.png)", "Image: without a description"],
    ["a refused link as it was written", "[z](javascript:alert(1))", "[z](javascript:alert(1))"],
  ];
  for (const [what, markdown, text] of texts)
    it(`shows ${what}`, () => assert.equal(shown(markdown).textContent?.trim(), text));

  it("keeps columns' sides and headings' looks without styles, and never skips a heading's level", () => {
    const element = shown("# A\n\n### B\n\n| x | y |\n|:-:|--:|\n| 1 | 2 |");
    assert.deepEqual(
      [...element.querySelectorAll("h4")].map((each) => each.className),
      ["md-h1", "md-h3"],
    );
    assert.equal(element.querySelector("td")?.className, "md-center");
    assert.equal(element.querySelector("[style]"), null);
  });

  it("gives code its language, its text and a button that copies", () => {
    const element = shown("```ts\nconst a = '<b>';\n```");
    assert.equal(element.querySelector("code")?.textContent, "const a = '<b>';\n");
    assert.equal(element.querySelector(".md-code-head")?.textContent, "ts");
    assert.equal(element.querySelector("[data-copy]")?.getAttribute("aria-label"), "Copy code");
  });
});

describe("citation markers", () => {
  const citations = [
    cited(1, "src/a.ts", 3, { text: '  const x = "<1>";' }),
    cited(2, "src/b.ts", 0),
    cited(3, "src/c.ts", 9, {
      choices: [
        { path: "src/c.ts", line: 9 },
        { path: "src/d.ts", line: 1 },
      ],
    }),
    cited(0, "", 0, { text: "nope.ts" }),
  ];
  const numbers = (markdown: string): string[] =>
    [...shown(markdown, citations).querySelectorAll("[data-cite]")].map((each) => each.textContent ?? "");

  const table: [string, string, string[]][] = [
    ["become buttons", "`x` [1] and `y` [2].", ["1", "2"]],
    ["stand alone after a code block", "```\nx\n```\n[1]\n\nmore", ["1"]],
    ["are no links, even before a bracket", "`run` [1](args) and [2][x]", ["1", "2"]],
    ["work in tables, lists, headings", "# `a` [1]\n\n- `b` [2]\n\n| `c` [3] |\n|---|\n", ["1", "2", "3"]],
    ["stay text where no such citation is", "`x` [7] and [99999]", []],
    ["stay text in code", "`a [1]` and\n```\nb [1]\n```", []],
    ["stay text as an index", "arr[1] and f(x)[2]", []],
  ];
  for (const [what, markdown, expected] of table) it(what, () => assert.deepEqual(numbers(markdown), expected));

  it("say where they lead, in their title and to a screen reader", () => {
    const [one, two, three] = shown("a [1] [2] [3]", citations).querySelectorAll("button");
    assert.equal(one?.title, 'src/a.ts:3\nconst x = "<1>";');
    assert.equal(one?.getAttribute("aria-label"), "Citation 1: src/a.ts line 3");
    assert.equal(two?.getAttribute("aria-label"), "Citation 2: src/b.ts");
    assert.equal(three?.getAttribute("aria-label"), "Citation 3: src/c.ts line 9 (one of 2 places)");
  });

  it("mark what was not found, and only where the answer has such", () => {
    assert.equal(shown("`nope.ts` [?] x", citations).querySelectorAll(".md-unfound").length, 1);
    assert.equal(shown("really [?]", [cited(1, "a", 1)]).querySelectorAll(".md-unfound").length, 0);
  });
});
