// safe-markdown.ts — text that nobody vouches for, as Markdown that can be nothing but text.
//
// In: an answer as the model wrote it (which may repeat anything a repository holds), a path, a name. Out: Markdown whose only
// links are those of `linkOf`. Emphasis, headings, lists, tables and code stay; links, images, HTML, entities and bare addresses
// become the characters they are written with. Code is written anew, fenced longer than anything inside, at the line's
// beginning, so that no other Markdown parser can see its borders elsewhere. Pure.

/** Gives the target of citation n; undefined: the marker stays text. */
export type LinkOf = (index: number) => string | undefined;

const none: LinkOf = () => undefined;

/** An answer as Markdown. `[n]` markers become links where `linkOf` knows one. */
export function safeMarkdown(answer: string, linkOf: LinkOf = none): string {
  const out: string[] = [];
  const lines = visible(answer).split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const fence = /^([\t ]*)(`{3,}|~{3,})([^`]*)$/.exec(line);
    if (fence === null) {
      out.push(safeLine(line, linkOf));
      continue;
    }
    const [, indent = "", opening = "", info = ""] = fence;
    const code: string[] = [];
    for (at++; at < lines.length && !closes(lines[at] ?? "", opening); at++)
      code.push(unindent(lines[at] ?? "", indent.length));
    if (out.length > 0 && out[out.length - 1] !== "") out.push("");
    out.push(fenced(code.join("\n"), info), "");
  }
  return out.join("\n").trim();
}

/** A code block that holds exactly this text. `info` names its language, as a model wrote it. */
export function fenced(code: string, info = ""): string {
  const fence = "`".repeat(Math.max(3, longestRun(code) + 1));
  const language = /^[\w+#.-]{1,30}/.exec(info.trim())?.[0] ?? "";
  return `${fence}${language}\n${visible(code)}\n${fence}`;
}

/** A code span that holds exactly this text, on one line. */
export function inlineCode(text: string): string {
  const one = visible(text).replace(/[\n\t]/g, escapeCharacter);
  if (one.trim() === "") return one;
  const run = "`".repeat(longestRun(one) + 1);
  const pad = /^[` ]|[` ]$/.test(one) ? " " : "";
  return `${run}${pad}${one}${pad}${run}`;
}

/** Text on one line that Markdown takes for nothing else: no emphasis, no heading, no list. */
export function plainText(text: string): string {
  return escapeAll(visible(text).replace(/\n/g, " "));
}

/** As `plainText`, line breaks kept: what a user typed. */
export function plainLines(text: string): string {
  return visible(text)
    .split("\n")
    .map((line) => escapeAll(line.trimStart()))
    .join("  \n")
    .trim();
}

/** A link: any label, any target; the target must be encoded already. */
export function link(label: string, target: string): string {
  // The editor's parser takes brackets within a label for links and images even where they are escaped: not without parentheses.
  const shown = plainText(label).replace(/[()]/g, "\\$&");
  return `[${shown === "" ? "link" : shown}](<${target.replace(/[<>\\\n]/g, encodeURIComponent)}>)`;
}

function safeLine(line: string, linkOf: LinkOf): string {
  let out = "";
  let at = 0;
  for (const run of line.matchAll(/`+/g)) {
    if (run.index < at) continue;
    const end = endOfSpan(line, run.index + run[0].length, run[0].length);
    if (end === undefined) continue;
    out += safeProse(line.slice(at, run.index), linkOf, at === 0);
    out += inlineCode(spanText(line.slice(run.index + run[0].length, end)));
    at = end + run[0].length;
  }
  return out + safeProse(line.slice(at), linkOf, at === 0);
}

/** Where the run that closes a code span begins. */
function endOfSpan(line: string, from: number, length: number): number | undefined {
  for (const run of line.slice(from).matchAll(/`+/g)) if (run[0].length === length) return from + run.index;
  return undefined;
}

/** What a code span means: a space on both sides belongs to the writing. */
function spanText(inside: string): string {
  return /^ .*[^ ].* $/.test(inside) || /^ [^ ] $/.test(inside) ? inside.slice(1, -1) : inside;
}

/** The engine puts a marker after a space, or on a line of its own. */
const marker = /(^|\s)\[(\d{1,4})\](?=$|[\s.,;:!?)])/g;

function safeProse(text: string, linkOf: LinkOf, lineBegins: boolean): string {
  let out = "";
  let at = 0;
  for (const found of text.matchAll(marker)) {
    const [whole, before = "", digits = ""] = found;
    if (before === "" && !lineBegins) continue;
    const target = linkOf(Number(digits));
    if (target === undefined) continue;
    out += escapeStructure(text.slice(at, found.index)) + before + link(`[${digits}]`, target);
    at = found.index + whole.length;
  }
  return out + escapeStructure(text.slice(at));
}

/** Escapes what makes links, images, HTML, entities, code and formulas; leaves emphasis, headings, lists and tables. */
function escapeStructure(text: string): string {
  return escapeAddresses(text.replace(/[\\`[\]<&$@]/g, "\\$&"));
}

/** As `escapeStructure`, and nothing is emphasis, a table, or, at the line's beginning, a heading, list, quote or rule. */
function escapeAll(text: string): string {
  const escaped = escapeAddresses(text.replace(/[\\`*_[\]<&$@~|]/g, "\\$&"));
  return escaped
    .trimStart()
    .replace(/^(?:[#+=>-]|\d+(?=[.)]))/, (start) => (/\d/.test(start) ? `${start}\\` : `\\${start}`));
}

/** Bare addresses become links in the editor's Markdown: with a backslash inside they are only text. */
function escapeAddresses(text: string): string {
  return text.replace(/\/(?=\/)/g, "/\\").replace(/(www)(\.)/gi, "$1\\$2");
}

/** Characters that change how others are shown, or are not shown at all, are written out. */
function visible(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function closes(line: string, opening: string): boolean {
  const run = line.trim();
  return run.length >= opening.length && run === (opening[0] ?? "`").repeat(run.length);
}

function unindent(line: string, most: number): string {
  const indent = /^[\t ]*/.exec(line)?.[0].length ?? 0;
  return line.slice(Math.min(indent, most));
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map((run) => run[0].length));
}
