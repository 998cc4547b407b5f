// items.ts — questions about a context whose answers a program can check, made from its text alone.
//
// In: files. Out: items of six kinds, each with the one right answer as it stands in the source. What is not unique in the
// context is not asked. Pure: the same files give the same items.

import { createHash } from "node:crypto";
import { posix } from "node:path";
import type { SourceFile } from "./corpus.ts";

export interface Item {
  kind: "file" | "constant" | "default" | "function" | "next line" | "across files";
  question: string;
  answer: string;
}

const definition =
  /^(?:export )?(?:default )?(?:async )?(?:abstract )?(?:function|class|const|interface|type) (\w{5,})/;
const literal = String.raw`-?\d[\w.]*|"[^"\n]{1,32}"|'[^'\n]{1,32}'|true|false`;

/** At most `most` items, the kinds in turn, in an order that only their text decides. */
export function makeItems(files: readonly SourceFile[], most: number): Item[] {
  const all = [
    filesOfSymbols(files),
    constants(files),
    defaults(files),
    functionsOfLines(files),
    nextLines(files),
    acrossFiles(files),
  ].map((items) => shuffled(items.filter(({ answer }) => answer.length <= 90)).slice(0, Math.ceil(most / 3)));
  const chosen: Item[] = [];
  for (let i = 0; chosen.length < most && all.some((items) => i < items.length); i++)
    for (const items of all) if (items[i] !== undefined && chosen.length < most) chosen.push(items[i] as Item);
  return chosen;
}

function shuffled(items: readonly Item[]): Item[] {
  const key = ({ question }: Item): string => createHash("sha256").update(question).digest("hex");
  return [...items].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

const linesOf = (file: SourceFile): string[] => file.text.split("\n").map((line) => line.trimEnd());

/** Names that exactly one file defines, at the beginning of a line. */
function definitions(files: readonly SourceFile[]): Map<string, SourceFile> {
  const found = new Map<string, SourceFile | undefined>();
  for (const file of files)
    for (const line of linesOf(file)) {
      const name = definition.exec(line)?.[1];
      if (name !== undefined && !/_\d$/.test(name))
        found.set(name, found.has(name) && found.get(name) !== file ? undefined : file);
    }
  return new Map([...found].flatMap(([name, file]) => (file === undefined ? [] : [[name, file]])));
}

function filesOfSymbols(files: readonly SourceFile[]): Item[] {
  return [...definitions(files)].map(([name, { path }]) => ({
    kind: "file",
    question: `Which file defines \`${name}\`? Answer with the file's path only.`,
    answer: path,
  }));
}

/** Matches of a pattern whose first group occurs as a match once in the file. */
function uniqueMatches(file: SourceFile, pattern: RegExp): RegExpMatchArray[] {
  const matches = [...file.text.matchAll(pattern)];
  return matches.filter((match) => matches.filter((other) => other[1] === match[1]).length === 1);
}

function constants(files: readonly SourceFile[]): Item[] {
  const pattern = new RegExp(
    String.raw`^\s*(?:(?:export )?const |static )?(\w{4,})(?:: \w+)? ?[=:] (${literal})[;,]$`,
    "gm",
  );
  return files.flatMap((file) =>
    uniqueMatches(file, pattern).map(([, name, value]) => ({
      kind: "constant" as const,
      question: `In \`${file.path}\`, which value is given to \`${name}\`? Answer with the value only, as it stands in the code.`,
      answer: value ?? "",
    })),
  );
}

function defaults(files: readonly SourceFile[]): Item[] {
  const pattern = new RegExp(
    String.raw`^\s*(?:export )?(?:async )?(?:function )?(\w{3,})\([^()\n]*?(\w+)(?:: \w+)? = (${literal})[,)]`,
    "gm",
  );
  return files.flatMap((file) =>
    uniqueMatches(file, pattern)
      .filter(([, name]) => name !== "constructor")
      .map(([, name, parameter, value]) => ({
        kind: "default" as const,
        question: `In \`${file.path}\`, what is the default of the parameter \`${parameter}\` of \`${name}\`? Answer with the value only.`,
        answer: value ?? "",
      })),
  );
}

/** Lines long enough to name a place, that occur once in all files. */
function uniqueLines(files: readonly SourceFile[]): { file: SourceFile; index: number; line: string }[] {
  const seen = new Map<string, number>();
  const all = files.flatMap((file) => linesOf(file).map((line, index) => ({ file, index, line: line.trim() })));
  for (const { line } of all) seen.set(line, (seen.get(line) ?? 0) + 1);
  return all.filter(
    ({ line }) =>
      seen.get(line) === 1 && line.length >= 24 && line.length <= 90 && !/^(?:\/\/|\*|import|\/\*)|`/.test(line),
  );
}

function functionsOfLines(files: readonly SourceFile[]): Item[] {
  return uniqueLines(files).flatMap(({ file, index, line }) => {
    const lines = linesOf(file);
    if (!/^\s/.test(lines[index] ?? "")) return [];
    for (let i = index - 1; i >= Math.max(0, index - 40); i--) {
      const above = lines[i] ?? "";
      if (above === "" || /^\s/.test(above)) continue;
      const name = /^(?:export )?(?:async )?function (\w{4,})/.exec(above)?.[1];
      if (name === undefined) return [];
      const question = `In which function is this line?\n${line}\nAnswer with the function's name only.`;
      return [{ kind: "function" as const, question, answer: name }];
    }
    return [];
  });
}

function nextLines(files: readonly SourceFile[]): Item[] {
  return uniqueLines(files).flatMap(({ file, index, line }) => {
    const next = (linesOf(file)[index + 1] ?? "").trim();
    if (next.length < 16 || next.length > 80 || next.includes("`")) return [];
    const question = `In \`${file.path}\`, which line follows this one?\n${line}\nAnswer with that line only.`;
    return [{ kind: "next line" as const, question, answer: next }];
  });
}

/** A line that uses one imported name: the file that it comes from is named in another place than the line. */
function acrossFiles(files: readonly SourceFile[]): Item[] {
  const byName = definitions(files);
  const paths = new Set(files.map(({ path }) => path));
  return uniqueLines(files).flatMap(({ file, line }) => {
    const imported = [...file.text.matchAll(/import (?:type )?\{([^}]+)\} from ["'](\.[^"']+)["']/g)].flatMap(
      ([, names, from]) =>
        (names ?? "").split(",").map((name) => ({ name: name.replace(/^\s*type /, "").trim(), from: from ?? "" })),
    );
    const used = imported.filter(({ name }) => name.length >= 5 && new RegExp(`\\b${name}\\b`).test(line));
    const [only] = used;
    if (only === undefined || used.length > 1) return [];
    const target = posix.join(posix.dirname(file.path), only.from).replace(/\.(?:js|ts)$/, "");
    const home = byName.get(only.name)?.path;
    if (home === undefined || !paths.has(home) || home.replace(/\.(?:js|ts)$/, "") !== target) return [];
    const question = `\`${file.path}\` has this line:\n${line}\nIt uses something that another file defines. Answer with the path of that file only.`;
    return [{ kind: "across files" as const, question, answer: home }];
  });
}
