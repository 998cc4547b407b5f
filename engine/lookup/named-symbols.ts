// named-symbols.ts — what a search says about the symbols that a question names: where they are defined, or that they are nowhere.
//
// In: the question's terms and the matching lines of every file. A symbol that nothing has is searched for again on its own.

import { definitionOfLine } from "../definition-line.ts";
import { escapePattern } from "../escape-pattern.ts";
import type { Term } from "./question.ts";
import { isTestPath, matchTerm } from "./rank.ts";
import type { Found, Hit } from "./search.ts";
import type { Definition, LookupDeps, LookupRequest } from "./types.ts";

/** A symbol that the question surely means as one; a capitalised word of running text weighs less: it may be a name of anything. */
const certainSymbol = 2.4;
const mostPlaces = 3;
const mostDefinitions = 4;
const longestDefinition = 160;

/** The symbols among the terms that the question surely means as such. */
export function certainSymbols(terms: readonly Term[]): Term[] {
  return terms.filter(({ kind, weight }) => kind === "symbol" && weight >= certainSymbol);
}

/**
 * Definitions of the symbols that the question names; one defined in many places is told apart by none of them. A name written as
 * the question writes it goes before others, a function or type before constants and values.
 */
export function definitionsOf(terms: readonly Term[], found: Found, tests: boolean): Definition[] {
  const definitions: Definition[] = [];
  const files = [...found.hits].filter(([path]) => tests || !isTestPath(path)).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const { said, forms } of certainSymbols(terms)) {
    const places: (Definition & { strong: boolean })[] = [];
    for (const [path, hits] of files) {
      for (const { line, text } of hits) {
        const defined = definitionOfLine(text);
        if (defined === undefined || !forms.includes(defined.name.toLowerCase())) continue;
        // `exports.x = x` and `x = Kind.x` only hand on what is defined elsewhere.
        if (new RegExp(`=\\s*(?:[\\w$]+\\.)*${escapePattern(defined.name)}\\s*[;,]?\\s*$`).test(text)) continue;
        // A local variable defines nothing that one would ask for.
        if (defined.kind === "value" && (defined.name !== said || /^\s{5}|^\t\t/.test(text))) continue;
        const strong = defined.kind !== "value" && defined.kind !== "constant";
        places.push({ name: defined.name, path, line, text: text.trim().slice(0, longestDefinition), strong });
      }
    }
    const chosen = preferred(
      preferred(places, ({ name }) => name === said),
      ({ strong }) => strong,
    );
    if (chosen.length <= mostPlaces)
      definitions.push(...chosen.map(({ name, path, line, text }) => ({ name, path, line, text })));
    if (definitions.length >= mostDefinitions) break;
  }
  return definitions.slice(0, mostDefinitions);
}

/** Those that fit, if any do; else all. */
function preferred<Item>(items: readonly Item[], fits: (item: Item) => boolean): readonly Item[] {
  const fitting = items.filter(fits);
  return fitting.length > 0 ? fitting : items;
}

/** Symbols of the question that no file has; asked again on their own, since a busy file may have hidden them. */
export async function missingSymbols(
  terms: readonly Term[],
  found: Found,
  request: LookupRequest,
  signal: AbortSignal,
  deps: LookupDeps,
): Promise<string[]> {
  const symbols = certainSymbols(terms);
  const unseen = (terms: readonly Term[], hits: ReadonlyMap<string, readonly Hit[]>): Term[] => {
    const left = new Set(terms);
    for (const lines of hits.values()) {
      for (const { text } of lines) {
        const lower = text.toLowerCase();
        for (const term of left) if (matchTerm(term, lower, text) >= 1) left.delete(term);
      }
      if (left.size === 0) break;
    }
    return [...left];
  };
  const first = unseen(symbols, found.hits);
  if (first.length === 0) return [];
  const again = await deps.search(
    request.files,
    first.flatMap(({ forms }) => forms),
    signal,
  );
  if (!again.complete) return [];
  const absent = unseen(first, again.hits).filter(
    ({ forms }) => !request.files.some(({ path }) => path.toLowerCase().includes(forms[0] ?? "\n")),
  );
  // `a.b` as a whole may be written otherwise: it is missing where its last part is, and stands for its parts.
  const names = absent.map(({ said }) => said);
  const parts = new Map(names.map((said) => [said, said.split(/\.|::|->|#/)]));
  const partsOf = (said: string): string[] => parts.get(said) ?? [];
  const missing = names.filter((said) => partsOf(said).length === 1 || names.includes(partsOf(said).at(-1) ?? ""));
  return missing.filter((said) => !missing.some((other) => other !== said && partsOf(other).includes(said)));
}
