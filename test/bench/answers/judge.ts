// judge.ts — whether an answer is right, and whether a citation leads to the right place. Pure; the rules are in docs/answers.md.
//
// In: the words that the user sees and a keyed question; or a citation and the files as they are on disk. Out: a verdict with its
// reason. No model judges: the same answer always gets the same verdict.

import type { Question } from "./questions.ts";

export interface Verdict {
  right: boolean;
  why: string;
}

/** Says that something was not found or is not there. */
const denies =
  /\b(?:(?:do|does|did|is|are|was|were|has|have|could|would)(?:n['’]t| not)|can(?:['’]t| ?not)|not|never)\b[^.!?\n]{0,40}?\b(?:find|found|exist|contain|mention|includ|specif|defin|occur|appear|present|provid|declar|implement|document|stat(?:e|ed|es)|see|in (?:the|these|this|what))\w*|\bthere(?:['’]s| is| are) no\b|\bno (?:such|mention|file|function|class|method|hook|option|parameter|definition|information|evidence|reference)\b|\bnone of the (?:files|functions|classes)\b|\bnowhere\b/i;

const path = /[\w@./-]*\w\.(?:py|ts|js)\b/g;

/** The verdict on an answer, as the user sees it (what is said above it included, markers not). */
export function judge(answer: string, question: Question): Verdict {
  const text = answer.trim();
  if (text === "") return { right: false, why: "empty" };
  return question.kind === "missing" ? judgeMissing(text, question) : judgeThere(text, question);
}

function judgeThere(answer: string, question: Question): Verdict {
  const wrong = firstMatch(question.wrong, answer);
  if (wrong !== null) return { right: false, why: `says ${wrong}` };
  // Of several files named, the first is the one that is answered.
  const part = question.kind === "defines" ? (answer.match(path)?.[0] ?? "") : answer;
  const right = firstMatch(question.right, part);
  if (right !== null) return { right: true, why: `says ${right}` };
  return { right: false, why: denies.test(answer) ? "not found" : "another answer" };
}

function judgeMissing(answer: string, question: Question): Verdict {
  const sentences = answer.split(/(?<=[.!?])\s+|\n+/);
  const rest = sentences.filter((sentence) => !denies.test(sentence));
  if (rest.length === sentences.length) return { right: false, why: "does not say that it is not there" };
  const invented = firstMatch(question.wrong, rest.join("\n"));
  if (invented !== null) return { right: false, why: `invents ${invented}` };
  return { right: true, why: "not found" };
}

function firstMatch(patterns: readonly string[], text: string): string | null {
  for (const pattern of patterns) {
    const found = new RegExp(pattern, "i").exec(text);
    if (found !== null) return JSON.stringify(found[0].trim().slice(-60));
  }
  return null;
}

export interface CitedPlace {
  path: string;
  line: number;
  text: string;
}

/** A line that defines a name, in Python, JavaScript or TypeScript. */
function defines(line: string, name: string): boolean {
  const n = name.replace(/[$]/g, "\\$&");
  const named = new RegExp(
    `(?:\\b(?:def|class|function|interface|type|enum|const|let|var)\\s+${n}(?![\\w$]))|^\\s*(?:export |public |protected |private |static |abstract |override |async |readonly )*${n}\\s*(?:[:=](?!=)|\\([^)]*\\)\\s*(?::[^{]*)?\\{|[<(]$)`,
  );
  return named.test(line);
}

/** How far below a definition's line a citation may lie and still be about it. */
const blockLines = 40;

/**
 * The verdict on a verified citation. `mention` is what the answer has in front of the marker; `files` are the repository's
 * lines by path, as they are on disk. Right if the cited line is there with just that text, and
 * - a path is mentioned: it is the cited file; or
 * - the place is the question's gold place: in its file, a line with the gold text or within 40 lines below one; or
 * - a name is mentioned: the line has it and, if the repository defines that name, defines it.
 */
export function judgeCitation(
  citation: CitedPlace,
  mention: string,
  question: Question,
  files: ReadonlyMap<string, readonly string[]>,
): Verdict {
  const lines = files.get(citation.path);
  if (lines === undefined) return { right: false, why: "no such file" };
  const line = lines[citation.line - 1] ?? "";
  if (citation.line > 0 && line.trim() !== citation.text.trim())
    return { right: false, why: "another text stands there" };

  const said = mention.replace(/^[`"'“(\s]+|[`"'”)\s.,:;]+$/g, "");
  if (new RegExp(`^${path.source}$`).test(said)) {
    const same = citation.path === said || citation.path.endsWith(`/${said.replace(/^\.?\//, "")}`);
    return { right: same, why: same ? "the file" : `${said} is not ${citation.path}` };
  }
  if (isGold(citation, question, lines)) return { right: true, why: "the gold place" };

  // A quoted line, or one line of a quoted block: its text stands there, whatever the spaces.
  const here = squeeze(line);
  const quoted = said.split("\n").filter((part) => /\S\W+\S/.test(part));
  if (quoted.some((part) => here.includes(squeeze(part)))) {
    return { right: true, why: "the quoted line" };
  }
  const code = said.split("\n").find((part) => part.trim() !== "") ?? "";
  const name = code.match(/[\p{L}_$][\p{L}\p{N}_$]*/gu)?.at(-1);
  if (name === undefined) return { right: false, why: "nothing is named" };
  if (!line.includes(name)) return { right: false, why: `${name} is not in the line` };
  const defined = [...files.values()].some((all) => all.some((one) => defines(one, name)));
  if (!defined || defines(line, name)) return { right: true, why: `the line has ${name}` };
  return { right: false, why: `${name} is defined elsewhere` };
}

function isGold(citation: CitedPlace, question: Question, lines: readonly string[]): boolean {
  const { gold } = question;
  if (gold === undefined || citation.path !== gold.path || citation.line < 1) return false;
  return gold.text.some((text) =>
    lines.some(
      (line, index) => line.includes(text) && citation.line > index && citation.line <= index + 1 + blockLines,
    ),
  );
}

function squeeze(text: string): string {
  return text.replace(/\s+/g, "");
}

/** What the answer has in front of each marker [n]: the fenced block, the code span or the word. First mentions come first. */
export function mentionsOf(marked: string): { index: number; mention: string }[] {
  const marker = /```[^\n]*\n([\s\S]*?)```\s*\[(\d+)\]|`([^`\n]+)`\s?\[(\d+)\]|([^\s`[\]]+)\s?\[(\d+)\]/g;
  return [...marked.matchAll(marker)].map((match) => ({
    index: Number(match[2] ?? match[4] ?? match[6]),
    mention: match[1] ?? match[3] ?? match[5] ?? "",
  }));
}
