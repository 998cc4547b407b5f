// read-markdown.ts — what a reader of Markdown sees, and what in it could do anything; and texts as hostile repositories hold them.
import fc from "fast-check";
import MarkdownIt from "markdown-it";

/** A parser that allows everything the editor's might: HTML, bare addresses. */
const parser = new MarkdownIt({ html: true, linkify: true });
parser.validateLink = () => true;
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: true, fuzzyIP: false });

interface Seen {
  /** Addresses of links and images, and every piece of HTML. */
  active: string[];
  text: string;
  code: string[];
}

/** What a reader sees, and what could do anything. */
export function read(markdown: string): Seen {
  const seen: Seen = { active: [], text: "", code: [] };
  const visit = (tokens: ReturnType<typeof parser.parse>): void => {
    for (const token of tokens) {
      if (token.type === "link_open") seen.active.push(String(token.attrGet("href")));
      if (token.type === "image") seen.active.push(`image ${token.attrGet("src")}`);
      if (token.type.startsWith("html_")) seen.active.push(`html ${token.content}`);
      if (token.type === "fence" || token.type === "code_block" || token.type === "code_inline") {
        seen.code.push(token.content);
        seen.text += token.content;
      }
      if (token.type === "text" || token.type === "text_special") seen.text += token.content;
      if (token.type === "softbreak" || token.type === "hardbreak") seen.text += "\n";
      if (token.children !== null && token.type !== "image") visit(token.children);
    }
  };
  visit(parser.parse(markdown, {}));
  return seen;
}

/** Pieces that hostile repositories and confused models are made of. */
const piece = fc.oneof(
  fc.constantFrom(
    ..."` `` ``` ```` ~~~ [ ] ( ) ![ ]( < > </ \\ & &lt; &#91; : // * _ ** # - + 1. | $ $$ \n \n\n \t ! ^ = --- === > @".split(
      " ",
    ),
    " ",
    "    ",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\u202e",
    "\u2028",
    "\0",
    "[x](command:workbench.action.terminal.new)",
    "![i](https://evil.example/i.png)",
    "![i][r]\n\n[r]: https://evil.example/i.png",
    "<img src=x onerror=alert(1)>",
    "<!-- ",
    "<script>",
    "</script>",
    "<https://evil.example>",
    "https://evil.example/?q=1",
    "www.evil.example",
    "a@evil.example",
    "command:evil",
    "[1]",
    " [1] ",
    " [2]",
    "[?]",
    "```js\n",
    "\n```\n",
    "  ```",
    "> ",
    "- ",
    "word",
  ),
  fc.string({ maxLength: 6 }),
);
export const hostile = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));
