// second-hop.ts — names used in a region whose definition lies in another file: for questions that go through a call.
//
// In: the best regions and the definitions known from outlines or found by a search. Out: places to add, best first. Pure.

import { definitionOfLine } from "../definition-line.ts";
import { escapePattern } from "../escape-pattern.ts";
import type { Hit } from "./search.ts";
import { fileStem, isFaintWord, isStopWord, splitWords, stem } from "./words.ts";

export interface Place {
  path: string;
  line: number;
  name: string;
}

/** A name defined in more places than this says nothing. */
const mostPlaces = 4;
const keywords = new Set(
  (
    "if for while switch return catch function class const let var new typeof await async import from export default this self super true false " +
    "null none undefined string number boolean object array print len str int dict list set tuple bool float super isinstance getattr setattr hasattr " +
    "type range map filter require module console error promise json math date"
  ).split(" "),
);

/** Identifiers of a region that look like references: called, capitalised, or constants. Most used first, at most `limit`. */
export function referencesIn(text: string, limit: number): string[] {
  const counts = new Map<string, number>();
  for (const match of text.slice(0, 20_000).matchAll(/[\p{L}_$][\p{L}\p{N}_$]*/gu)) {
    const name = match[0];
    if (name.length < 3 || keywords.has(name.toLowerCase())) continue;
    const called = text[match.index + name.length] === "(";
    if (!called && !/^\p{Lu}/u.test(name) && !/_|\p{Ll}\p{Lu}/u.test(name)) continue;
    counts.set(name, (counts.get(name) ?? 0) + (called ? 2 : 1));
  }
  return [...counts]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, limit)
    .map(([name]) => name);
}

/** Strings whose lines can define the names. */
export function definitionStrings(names: readonly string[]): string[] {
  return names.flatMap((name) => [
    `${name}(`,
    `${name} =`,
    `${name}:`,
    `class ${name}`,
    `function ${name}`,
    `type ${name}`,
    `interface ${name}`,
    `struct ${name}`,
  ]);
}

/** Where the names are defined, by the shape of the lines found. */
export function placesIn(hits: ReadonlyMap<string, readonly Hit[]>, names: readonly string[]): Place[] {
  const wanted = new Set(names);
  const places: Place[] = [];
  for (const [path, lines] of hits) {
    for (const { line, text } of lines) {
      const definition = definitionOfLine(text);
      if (definition === undefined || !wanted.has(definition.name)) continue;
      if (definition.kind === "value" && /^\s/.test(text)) continue;
      places.push({ path, line, name: definition.name });
    }
  }
  return places;
}

/**
 * Places in other files than the region's, those that share words with the question or are imported first.
 * Names with many definitions are left out unless one lies in a file that the region's file imports.
 */
export function choosePlaces(
  from: { path: string; text: string },
  imports: string,
  places: readonly Place[],
  question: string,
): Place[] {
  const asked = new Set(
    splitWords(question)
      .filter((word) => !isStopWord(word) && !isFaintWord(word))
      .map(stem),
  );
  const byName = new Map<string, Place[]>();
  for (const place of places) byName.set(place.name, [...(byName.get(place.name) ?? []), place]);
  const order = referencesIn(from.text, 200);
  const scored: { place: Place; score: number }[] = [];
  for (const [name, all] of byName) {
    const rank = order.indexOf(name);
    if (rank < 0 || all.some(({ path }) => path === from.path)) continue;
    const imported = all.filter(({ path }) => importsFile(imports, path));
    const kept = imported.length > 0 && imported.length <= mostPlaces ? imported : all.length <= mostPlaces ? all : [];
    const shared = splitWords(name).filter((word) => asked.has(stem(word))).length;
    for (const place of kept)
      scored.push({
        place,
        score: shared * 2 + (imported.includes(place) ? 1.5 : 0) + 1 / (1 + rank) - kept.length * 0.2,
      });
  }
  return scored
    .sort((a, b) => b.score - a.score || (a.place.path < b.place.path ? -1 : 1) || a.place.line - b.place.line)
    .map(({ place }) => place);
}

function importsFile(imports: string, path: string): boolean {
  const own = fileStem(path);
  const folder = path.split("/").at(-2) ?? "";
  const name = /^(?:index|__init__|mod)$/.test(own) ? folder : own;
  return (
    name.length > 1 &&
    new RegExp(`(?:^|[^\\p{L}\\p{N}_])${escapePattern(name)}(?:[^\\p{L}\\p{N}_]|$)`, "u").test(imports)
  );
}

/** Lines of the same file that define constants which the region uses: their values are often what is asked. */
export function constantLines(
  region: { startLine: number; endLine: number; text: string },
  lines: readonly string[],
): number[] {
  const used = new Set(region.text.match(/[\p{L}_$][\p{L}\p{N}_$]{2,}/gu) ?? []);
  const found: number[] = [];
  for (const [i, text] of lines.entries()) {
    if (!/^\S/.test(text) || (i + 1 >= region.startLine && i + 1 <= region.endLine)) continue;
    const definition = definitionOfLine(text);
    if (definition === undefined || !used.has(definition.name)) continue;
    const shouted = /^_*\p{Lu}[\p{Lu}\p{N}_]{2,}$/u.test(definition.name);
    const functional = /=>|\bfunction\b|\brequire\(/.test(text);
    if (functional || !(definition.kind === "constant" || (definition.kind === "value" && shouted))) continue;
    found.push(i + 1);
    if (found.length >= 8) break;
  }
  return found;
}

/** Lines of the same file that define functions which the region calls, in the order of the calls; at most 3. */
export function calledLines(
  region: { startLine: number; endLine: number; text: string },
  lines: readonly string[],
): number[] {
  const called = new Map(
    [...region.text.matchAll(/([\p{L}_$][\p{L}\p{N}_$]{2,})\(/gu)]
      .reverse()
      .map((match) => [match[1] ?? "", match.index]),
  );
  const found: { line: number; order: number }[] = [];
  for (const [i, text] of lines.entries()) {
    if (i + 1 >= region.startLine && i + 1 <= region.endLine) continue;
    const definition = /[({=:]/.test(text) ? definitionOfLine(text) : undefined;
    const order = definition === undefined || definition.kind === "value" ? undefined : called.get(definition.name);
    if (order !== undefined) found.push({ line: i + 1, order });
  }
  return found
    .sort((a, b) => a.order - b.order || a.line - b.line)
    .slice(0, 3)
    .map(({ line }) => line);
}

/**
 * Types that a name is declared with: `order: SortedSet[K]`, `self.order = SortedSet()`, `private order: SortedSet`.
 * @param texts lines that may hold the name
 */
export function declaredTypes(name: string, texts: readonly string[]): string[] {
  const declared = new RegExp(
    `(?:^|[\\s.(,])${escapePattern(name)}\\??\\s*(?::|=(?!=))\\s*(?:new\\s+)?((?:[\\p{L}_$][\\p{L}\\p{N}_$]*\\.)*\\p{Lu}[\\p{L}\\p{N}_]*)`,
    "u",
  );
  const found = texts.flatMap((text) => declared.exec(text.slice(0, 400))?.[1]?.split(".").at(-1) ?? []);
  return [...new Set(found)].filter((type) => !keywords.has(type.toLowerCase()));
}

/** Last line of a value that begins on a line and may go on to the closing bracket; at most 12 lines on. */
export function closeOf(lines: readonly string[], line: number): number {
  if (!/[([{]\s*$/.test(lines[line - 1] ?? "")) return line;
  for (let at = line + 1; at <= Math.min(lines.length, line + 12); at++)
    if (/^[)\]}]/.test(lines[at - 1] ?? "")) return at;
  return Math.min(lines.length, line + 12);
}
