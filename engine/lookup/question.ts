// question.ts — what a question names: paths, symbols, quoted text, numbers and content words, each as a search term.
//
// In: the question. Out: terms with the strings to search for. Knows nothing of the workspace: whether a name exists is
// found out by the search. Pure.

import { isFaintWord, isStopWord, splitWords, wordForms } from "./words.ts";

export interface Term {
  /** As the question has it. */
  said: string;
  /** "symbol": an identifier, matched whole; "word": matched at the start of a word or of an identifier's part. */
  kind: "symbol" | "quote" | "number" | "word";
  /** Lower case; any of them counts as the term. */
  forms: string[];
  weight: number;
}

export interface NamedPath {
  said: string;
  /** True where only a file can be meant, so that its absence is worth saying. */
  certain: boolean;
}

export interface Asked {
  terms: Term[];
  paths: NamedPath[];
  /** The question is about tests, documentation, how a thing works, what it defaults to, what it raises, or where it is. */
  wants: { tests: boolean; docs: boolean; how: boolean; value: boolean; raises: boolean; place: boolean };
}

const maxTerms = 32;
const sourceEndings =
  "ts|tsx|mts|cts|js|jsx|mjs|cjs|py|pyi|pyx|rs|go|c|h|cc|cpp|cxx|hpp|hh|cu|cuh|java|kt|kts|scala|rb|php|cs|fs|swift|m|mm|lua|pl|r|jl|sh|bash|zsh|ps1|bat|sql|html|css|scss|less|vue|svelte|md|mdx|rst|txt|json|jsonc|yaml|yml|toml|ini|cfg|conf|xml|proto|graphql|gradle|cmake|mk|lock|env|ipynb|zig|ex|exs|erl|hs|ml|dart";
const endsLikeFile = new RegExp(`^[^\\s]*[^\\s/.]\\.(?:${sourceEndings})$`, "iu");
/** Products that look like files. */
const productName =
  /^(?:node|next|vue|react|express|three|d3|nuxt|angular|ember|backbone|socket|asp|chart|p5|deno|bun|alpine|discord)\.(?:js|ts|io|net)$/i;

/** What code calls a thing that people say otherwise. */
const meant: [RegExp, string[]][] = [
  [/\bhow long\b/i, ["timeout", "duration", "ttl", "interval", "delay"]],
  [/\bhow (?:many|much|large|big)\b/i, ["max", "limit", "size", "count"]],
  [
    /\b(?:unless|if not|when not|otherwise|without)\b.{0,40}\b(?:set|given|specified|configured|otherwise)\b|\bout of the box\b/i,
    ["default"],
  ],
  [/\bhow often\b/i, ["interval", "period", "retr"]],
];

export function parseQuestion(question: string): Asked {
  const text = question.slice(0, 20_000).normalize("NFC");
  const terms = new Map<string, Term>();
  const paths = new Map<string, NamedPath>();
  const add = (said: string, kind: Term["kind"], forms: string[], weight: number): void => {
    const key = `${kind === "word" ? "w" : "s"}:${forms[0] ?? ""}`;
    const kept = forms.filter((form) => form.length > 0 && form.length <= 200);
    const before = terms.get(key);
    if (kept.length > 0 && (before === undefined || before.weight < weight))
      terms.set(key, { said, kind, forms: kept, weight });
  };
  const addWords = (phrase: string, factor: number): void => {
    for (const raw of phrase.split(/[^\p{L}\p{N}_$]+/u)) {
      for (const word of splitWords(raw)) {
        if (word.length < 3 || isStopWord(word) || /^\p{N}+$/u.test(word)) continue;
        add(word, "word", wordForms(word), (isFaintWord(word) ? 0.25 : 1) * factor);
      }
    }
  };

  // Quoted pieces first: in backticks anything, in quotation marks messages and strings.
  const quoted: { text: string; tick: boolean }[] = [];
  const rest = text.replace(
    /`([^`\n]{1,300})`|"([^"\n]{2,300})"|“([^”\n]{2,300})”|(?<![\p{L}\p{N}])'([^'\n]{2,300})'(?![\p{L}\p{N}])/gu,
    (...m) => {
      const piece = (m[1] ?? m[2] ?? m[3] ?? m[4]) as string;
      quoted.push({ text: piece.trim(), tick: m[1] !== undefined });
      return " \u0000 ";
    },
  );
  for (const { text: piece, tick } of quoted) {
    if (endsLikeFile.test(piece) || (/\//.test(piece) && !/\s/.test(piece))) {
      paths.set(piece, { said: piece, certain: endsLikeFile.test(piece) });
      if (/\//.test(piece)) add(piece, "quote", [piece.toLowerCase()], 2);
    } else if (isIdentifier(piece)) {
      addSymbol(piece, tick ? 3 : 2.5);
    } else {
      add(piece, "quote", [piece.toLowerCase()], 3);
      for (const word of piece.match(/[\p{L}_$][\p{L}\p{N}_$.]+/gu) ?? [])
        if (looksLikeSymbol(word)) addSymbol(word, 2);
    }
    addWords(piece, 0.8);
  }

  for (const match of rest.matchAll(/[^\s\u0000,;!?()[\]{}<>"“”`]+(?:\(\))?/gu)) {
    const piece = match[0].replace(/^['’:]+|^\.+(?![\p{L}/.])|['’:.…]+$/gu, "");
    if (piece === "") continue;
    const bare = piece.replace(/'s$|’s$/u, "");
    if (productName.test(bare)) {
      addWords(bare.replace(/\..*$/, ""), 1);
      continue;
    }
    if (endsLikeFile.test(bare.replace(/[:#]L?\d+(?:[-:]L?\d+)?$/, ""))) {
      paths.set(bare, { said: bare, certain: true });
      continue;
    }
    if (/^[\p{L}\p{N}_@.~-]+(?:[/\\][\p{L}\p{N}_@.~-]+)+\/?$/u.test(bare) && !/^https?:/.test(bare)) {
      paths.set(bare, { said: bare, certain: false });
      addWords(bare, 0.7);
      continue;
    }
    if (/^-?(?:0x[\da-f]+|\d[\d_]*(?:\.\d+)?)$/i.test(bare) && bare.length > 1)
      add(bare, "number", [bare.toLowerCase()], 1.5);
    else if (looksLikeSymbol(bare) || piece.endsWith("()")) addSymbol(bare, 2.5);
    else if (isIdentifier(bare) && /^\p{Lu}\p{Ll}/u.test(bare) && match.index > 0 && !isStopWord(bare))
      addSymbol(bare, 1.2);
    else if (/^--?[\w-]{2,}$/.test(bare)) add(bare, "quote", [bare.toLowerCase()], 2.5);
    addWords(bare, 1);
  }

  function addSymbol(raw: string, weight: number): void {
    const symbol = raw.replace(/\(.*$/s, "").replace(/^[#@$.]+|[.:]+$/gu, "");
    if (symbol.length < 2) return;
    add(symbol, "symbol", [symbol.toLowerCase()], weight);
    const parts = symbol.split(/\.|::|->|#/).filter((part) => part.length > 1);
    if (parts.length > 1) {
      const last = parts[parts.length - 1] ?? "";
      for (const part of parts)
        if (!/^(?:self|this|cls|std)$/.test(part))
          add(part, "symbol", [part.toLowerCase()], part === last ? weight : weight * 0.6);
    }
  }

  for (const match of text.matchAll(
    /(?<!\b(?:which|what)\s)\b(?:does|do|calls?|uses?|invokes?|function|method|class|named|called)\s([\p{L}_$][\p{L}\p{N}_$]{2,})\b/giu,
  )) {
    const word = match[1] ?? "";
    if (!isStopWord(word) && !isFaintWord(word)) addSymbol(word, 1.2);
  }
  for (const [phrase, forms] of meant) if (phrase.test(text)) add(forms[0] ?? "", "word", forms, 0.5);
  const byDefault = terms.get("w:default");
  if (byDefault !== undefined) byDefault.weight = Math.max(byDefault.weight, 0.6);
  const has = (pattern: RegExp): boolean => pattern.test(text);
  // "How does it …" and "why" are what documents and the comments at the head of a file are written for.
  const how = has(/^\s*(?:how (?:do(?:es)?|is|are)|why|explain|describe)\b/i);
  return {
    terms: [...terms.values()].sort((a, b) => b.weight - a.weight || (a.said < b.said ? -1 : 1)).slice(0, maxTerms),
    paths: [...paths.values()].slice(0, 16),
    wants: {
      tests: has(/\b(?:tests?|tested|specs?|fixtures?|benchmarks?)\b/i),
      docs: how || has(/\b(?:docs?|documentation|readme|changelog|guide|tutorial|license)\b/i),
      how,
      value: has(
        /\b(?:values?|defaults?|constants?|limits?|maximum|minimum|how (?:many|much|long|large|big|often)|equals?|initial)\b/i,
      ),
      raises: has(/\b(?:raises?|raised|throws?|thrown|errors?|exceptions?|fails?|panics?)\b/i),
      place: has(/\b(?:where|(?:which|what) (?:file|module|class|function|method))\b/i),
    },
  };
}

function isIdentifier(text: string): boolean {
  return /^[#@$.]?[\p{L}_$][\p{L}\p{N}_$]*(?:(?:\.|::|->|#)[\p{L}_$][\p{L}\p{N}_$]*)*(?:\(.{0,100}\))?$/u.test(text);
}

/** Identifier-shaped in running text: inner capitals, underscores, dots between words, all capitals, a sigil. */
function looksLikeSymbol(text: string): boolean {
  if (!isIdentifier(text)) return false;
  const bare = text.replace(/\(.*$/s, "");
  if (/^(?:e\.g|i\.e|etc|vs|a\.k\.a)\.?$/i.test(bare)) return false;
  return (
    /_|[\p{Ll}\p{N}]\p{Lu}|\p{Lu}{2,}\p{Ll}|\$|::|->|#|^@/u.test(bare) ||
    /^[\p{L}_]{2,}\.[\p{L}_][\p{L}\p{N}_.]+$/u.test(bare) ||
    /^\p{Lu}[\p{Lu}\p{N}]{5,}$/u.test(bare)
  );
}
