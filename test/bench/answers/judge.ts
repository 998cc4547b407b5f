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
  /\b(?:(?:do|does|did|is|are|was|were|has|have|could|would)(?:n't| not)|can(?:'t| ?not)|never)\b[^.!?\n]{0,40}?\b(?:find|found|exist|contain|mention|includ|specif|defin|occur|appear|present|provid|declar|implement|document|stat(?:e|ed|es)|see|set|have|support|part|a|an|any|in (?:the|these|this|what))\w*|\bthere(?:'s| is| are) no\b|\b(?:has|have) no\b|\bno (?:such|mention|file|function|class|method|hook|option|parameter|definition|information|evidence|reference)\b|\bnone of the (?:files|functions|classes)\b|\bnowhere\b/i;
/** "None if it is not found" says how code behaves, not that what was asked for is missing. */
const condition = /\b(?:if|when|whenever|unless|in case|whether)\b/i;
/** Claims something rather than denying it. */
const claims =
  /\b(?:is|are|was|gets?|be) (?:defined|declared|located|implemented|set|thrown|raised|returned|stored|called|named|used|in)\b|\bdefaults? to\b|\b(?:returns?|raises?|throws?|stores?|gives?|takes?|gets?)\b|\bdefault\b[^.\n]{0,80}? is\b/i;
/** Begins a sentence that goes on about what was asked for without naming it. */
const goesOn = /^\W*(?:it|this|they|the (?:default|option|parameter|value|hook|argument|level))\b/i;
const refusal = /^\W*I (?:do not|don't|did not|didn't|can ?not|can't|could not|couldn't) (?:find|see|locate)\b/i;

const path = /[\w@./-]*\w\.(?:py|ts|js)\b/g;
/** Code blocks of more lines than this are a paste, not an answer. */
const longestQuote = 8;

/**
 * The verdict on the model's answer, without what Quire says above it: that is told from a search, and llama.cpp has no such line.
 */
export function judge(answer: string, question: Question): Verdict {
  const text = withoutLongCode(answer.replace(/[’‘]/g, "'")).trim();
  if (text === "") return { right: false, why: "empty" };
  return question.kind === "missing" ? judgeMissing(text, question) : judgeThere(text, question);
}

function judgeThere(answer: string, question: Question): Verdict {
  if (refusal.test(answer)) return { right: false, why: "not found" };
  const said = withoutSetAside(answer);
  const wrong = firstMatch(question.wrong, said);
  if (wrong !== null) return { right: false, why: `says ${wrong}` };
  // Of several files named, the first is the one that is answered.
  const part = question.kind === "defines" ? (said.match(path)?.[0] ?? "") : said;
  const right = firstMatch(question.right, part);
  if (right !== null) return { right: true, why: `says ${right}` };
  return { right: false, why: denies.test(answer) ? "not found" : "another answer" };
}

/** Right if the first sentence denies before it claims anything, and no later one claims anything of the same thing. */
function judgeMissing(answer: string, question: Question): Verdict {
  const [first = "", ...rest] = answer.split(/(?<=[.!?])\s+|\n+/).filter((sentence) => /\w/.test(sentence));
  const denial = denies.exec(first);
  if (denial === null) return { right: false, why: "does not say that it is not there" };
  const before = first.slice(0, denial.index);
  if (condition.test(before) || condition.test(first.slice(denial.index, denial.index + denial[0].length))) {
    return { right: false, why: "says when something is not found" };
  }
  if (claims.test(before) || firstMatch(question.wrong, before) !== null) {
    return { right: false, why: `claims first: ${JSON.stringify(before.trim().slice(-60))}` };
  }
  const about = (question.absent ?? []).map((source) => new RegExp(source, "i"));
  const story = rest.find(
    (sentence) =>
      !denies.test(sentence) &&
      claims.test(sentence) &&
      (goesOn.test(sentence) || about.some((one) => one.test(sentence))),
  );
  if (story !== undefined) return { right: false, why: `goes on: ${JSON.stringify(story.slice(0, 60))}` };
  const invented = firstMatch(question.wrong, rest.filter((sentence) => !denies.test(sentence)).join("\n"));
  if (invented !== null) return { right: false, why: `invents ${invented}` };
  return { right: true, why: "not found" };
}

function withoutLongCode(text: string): string {
  return text.replace(/```[^\n]*\n([\s\S]*?)(?:```|$)/g, (block, code: string) =>
    code.trimEnd().split("\n").length > longestQuote ? "\n" : block,
  );
}

/** Drops what an answer only sets aside: "not `a`", "rather than `a`", "instead of `a`". */
function withoutSetAside(text: string): string {
  return text.replace(
    /\b(?:and not|but not|not|rather than|instead of|unlike) (?:the |a |an )?(?:`[^`\n]+`|"[^"\n]+"|\d[\d_,.]*|[A-Z]\w+)/g,
    " ",
  );
}

function firstMatch(patterns: readonly string[], text: string): string | null {
  for (const pattern of patterns) {
    // "=" before a pattern: letter case counts.
    const found = pattern.startsWith("=")
      ? new RegExp(pattern.slice(1)).exec(text)
      : new RegExp(pattern, "i").exec(text);
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
  const exact = question.gold?.text.some((text) => line.includes(text)) === true;
  if (isGold(citation, question, lines) && (exact || holds(line, said))) return { right: true, why: "the gold place" };

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

/** The line has the last name of what is said, or all of it. */
function holds(line: string, said: string): boolean {
  const name = said.match(/[\p{L}_$][\p{L}\p{N}_$]*/gu)?.at(-1);
  return (name !== undefined && line.includes(name)) || (said !== "" && squeeze(line).includes(squeeze(said)));
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
