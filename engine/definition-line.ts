// definition-line.ts — does this line of source define something, and what is its name? By shape alone, for any language.
//
// In: one line. Out: the name and a coarse kind, or nothing. Where a parsed outline exists it is better; this is for files
// without one, and must be linear in the line's length whatever it holds.
// A leaf: imports nothing.

export interface DefinitionLine {
  name: string;
  /** "member" and "value" are weaker: a method by its shape, a plain assignment. */
  kind: "function" | "type" | "constant" | "member" | "value";
}

const modifiers =
  "(?:(?:export|default|declare|abstract|async|static|public|private|protected|internal|final|override|virtual|inline|unsafe|extern|readonly|pub(?:\\([a-z]+\\))?) ){0,5}";
const name = "([\\p{L}_$][\\p{L}\\p{N}_$]*)";
const shapes: [RegExp, DefinitionLine["kind"]][] = [
  [new RegExp(`^${modifiers}(?:def|function|fn|fun|sub)(?: ?\\* ?| )(?:self\\.)?${name}`, "u"), "function"],
  [new RegExp(`^func (?:\\([^)]{0,80}\\) )?${name}`, "u"), "function"],
  [new RegExp(`^(?:local )function ${name}`, "u"), "function"],
  [
    new RegExp(
      `^${modifiers}(?:class|interface|enum(?: class)?|struct|union|trait|namespace|module|object|protocol|type|record) ${name}(?=[ <({:;=,]|$)`,
      "u",
    ),
    "type",
  ],
  [new RegExp(`^${modifiers}(?:const|let|var|val|constexpr) (?:mut )?${name}`, "u"), "constant"],
  [new RegExp(`^${modifiers}static (?:mut )?${name} ?:`, "u"), "constant"],
  [new RegExp(`^# ?define ${name}`, "u"), "constant"],
  [new RegExp(`^(?:module\\.)?exports\\.${name} =(?!=)`, "u"), "constant"],
  [
    new RegExp(
      `^[\\p{L}_$][\\p{L}\\p{N}_$.]*\\.${name} = (?:async )?(?:function\\b|\\([^)]{0,120}\\) =>|class\\b)`,
      "u",
    ),
    "function",
  ],
  [
    new RegExp(`^${name}(?: ?:[^=(]{0,60})? ?= ?(?:async )?(?:function\\b|lambda\\b|\\([^)]{0,120}\\) =>)`, "u"),
    "function",
  ],
  [new RegExp(`^${name} ?: ?(?:async )?function\\b`, "u"), "member"],
  [
    new RegExp(`^${modifiers}(?:get |set |\\* ?)?#?${name} ?\\([^;]{0,300}\\)(?: ?: ?[^;{]{1,80})? ?\\{$`, "u"),
    "member",
  ],
  [
    new RegExp(
      `^(?:[\\p{L}_][\\p{L}\\p{N}_:<>,*&]* ){1,6}[*&]{0,2}(?:[\\p{L}\\p{N}_]+::)?${name} ?\\([^;=]{0,300}(?:\\{|,|\\))$`,
      "u",
    ),
    "member",
  ],
  [new RegExp(`^${name}(?: ?: ?[^=]{1,60})? ?= ?[^=\\s]`, "u"), "value"],
];
/** Lines that begin with one of these define nothing. */
const notFirst = new Set(
  "if for while switch catch return else elif except with try do throw raise await yield new delete typeof not and or in is assert print del import from use using package case when unless until".split(
    " ",
  ),
);
const notNames = new Set("if for while switch catch return else do throw function new typeof await yield".split(" "));

/** The definition that a line makes, if it makes one. Lines over 400 characters are cut before they are looked at. */
export function definitionOfLine(line: string): DefinitionLine | undefined {
  const text = line.slice(0, 400).trim().replace(/\s+/g, " ");
  if (text === "" || /^(?:\/\/|\/?\*|#!|# (?!define ))/.test(text)) return undefined;
  const first = /^[\p{L}_$]+/u.exec(text)?.[0] ?? "";
  if (notFirst.has(first)) return undefined;
  for (const [shape, kind] of shapes) {
    const found = shape.exec(text)?.[1];
    if (found !== undefined && !notNames.has(found)) return { name: found, kind };
  }
  return undefined;
}
