// mentions.ts — what an answer names: paths, symbols, pieces of code, quoted lines, blocks of code, each with its place in it.
//
// In: the answer and the names of unusual paths. Out: mentions in order, without overlaps, each with its sentence and paragraph.
// Pure; linear in the answer's length; trusts nothing of it: links with a scheme are passed over.

import { findFences } from "./fences.ts";

export interface Mention {
  kind: "path" | "symbol" | "code" | "quote" | "block";
  start: number;
  end: number;
  /** The path, the name, the code. */
  said: string;
  /** In backticks, or a link's target: presented as a name of something. */
  presented: boolean;
  /** Line numbers that the answer gives with a path. */
  line?: number;
  endLine?: number;
  /** A block's language. */
  language?: string;
  /** The answer ends within the block. */
  cutOff?: boolean;
  sentence: number;
  paragraph: number;
}

type Found = Omit<Mention, "sentence" | "paragraph">;

const mostMentions = 600;
/** What comes after this many characters is left as it is. */
const longestAnswer = 200_000;
const sourceEnding =
  /\.(?:tsx?|mts|cts|jsx?|mjs|cjs|pyi?|pyx|rs|go|c|h|cc|cpp|cxx|hpp|hh|cuh?|java|kts?|scala|rb|php|cs|fs|swift|mm?|lua|pl|sh|bash|ps1|bat|sql|html?|css|scss|less|vue|svelte|mdx?|rst|txt|jsonc?|ya?ml|toml|ini|cfg|conf|xml|proto|graphql|gradle|cmake|mk|lock|ipynb|zig|exs?|erl|hs|dart)$/i;
const product =
  /^(?:node|next|vue|react|express|three|d3|nuxt|angular|ember|backbone|socket|asp|p5|deno|alpine|discord)\.(?:js|ts|io|net)$/i;

/** @param oddPaths known paths that have spaces, quotes or brackets, which no pattern can find in running text */
export function findMentions(answer: string, oddPaths: readonly string[]): Mention[] {
  const text = answer.slice(0, longestAnswer);
  const found: Found[] = [];
  const taken = new Uint8Array(text.length + 1);
  const take = (mention: Found): void => {
    const next = found.length >= mostMentions ? mention.start : taken.indexOf(1, mention.start);
    if (next >= 0 && next < mention.end) return;
    taken.fill(1, mention.start, mention.end);
    found.push(mention);
  };
  findBlocks(text, take, taken);
  for (const match of text.matchAll(/\[([^\]\n]{0,200})\]\(([^)\s]{1,300})\)/g)) {
    const target = match[2] ?? "";
    const end = match.index + match[0].length;
    if (/^[a-z][a-z0-9+.-]+:(?!\d)/i.test(target)) taken.fill(1, match.index, end);
    else take({ kind: "path", start: match.index, end, presented: true, ...splitLine(target) });
  }
  for (const match of text.matchAll(
    /\b(?:[a-z][a-z0-9+.-]{1,20}:\/\/|(?:command|javascript|vscode|file|data|mailto):)[^\s)>\]`]+/gi,
  ))
    taken.fill(1, match.index, match.index + match[0].length);
  for (const odd of oddPaths) {
    for (let at = text.indexOf(odd), n = 0; at >= 0 && n < 20; at = text.indexOf(odd, at + odd.length), n++) {
      take(withLineAfter(text, { kind: "path", start: at, end: at + odd.length, said: odd, presented: true }));
    }
  }
  for (const match of text.matchAll(/`([^`\n]{1,400})`/g)) {
    const inner = (match[1] ?? "").trim();
    if (inner !== "")
      take(
        withLineAround(text, {
          start: match.index,
          end: match.index + match[0].length,
          presented: true,
          ...classify(inner),
        }),
      );
  }
  for (const match of text.matchAll(/"([^"\n]{12,300})"|“([^”\n]{12,300})”/g)) {
    take({
      kind: "quote",
      start: match.index,
      end: match.index + match[0].length,
      said: match[1] ?? match[2] ?? "",
      presented: false,
    });
  }
  for (const match of text.matchAll(/[\p{L}\p{N}_@.~$#/\\:+-]{2,400}(?:\(\))?/gu))
    bareWord(text, match.index, match[0], take);
  return withSentences(
    text,
    found.sort((a, b) => a.start - b.start),
  );
}

function findBlocks(text: string, take: (mention: Found) => void, taken: Uint8Array): void {
  for (const { start, end, code, language, closed } of findFences(text)) {
    // Of a fence without a line behind it nothing is known.
    if (!closed && code === "") taken.fill(1, start, end);
    else
      take({ kind: "block", start, end, said: code, presented: true, language, ...(closed ? {} : { cutOff: true }) });
  }
}

function classify(inner: string): Pick<Found, "kind" | "said" | "line" | "endLine"> {
  const path = splitLine(inner);
  if (
    !/\s/.test(path.said) &&
    (sourceEnding.test(path.said) ||
      (/^[\p{L}\p{N}_@.~$+-]*(?:[/\\][\p{L}\p{N}_@.~$+()[\]-]+)+\/?$/u.test(path.said) && !product.test(path.said)))
  ) {
    return { kind: "path", ...path };
  }
  if (path.line !== undefined && /^[\p{L}\p{N}_.-]+$/u.test(path.said)) return { kind: "path", ...path };
  if (sourceEnding.test(path.said) && /\s/.test(path.said) && /^[\p{L}\p{N}_@.~$+()[\]'& /-]+$/u.test(path.said))
    return { kind: "path", ...path };
  if (isIdentifier(inner)) return { kind: "symbol", said: nameOf(inner) };
  return { kind: "code", said: inner };
}

function bareWord(text: string, from: number, raw: string, take: (mention: Found) => void): void {
  const lead = /^(?:[.:](?![\p{L}\p{N}_/])|[#:+-](?=\p{L}))+/u.exec(raw)?.[0].length ?? 0;
  const word = raw.slice(lead).replace(/[.:+\\-]+$/u, "");
  const start = from + lead;
  const end = start + word.length;
  if (word.length < 2) return;
  const path = splitLine(word);
  if (
    (sourceEnding.test(path.said) || (/[/\\]/.test(path.said) && path.line !== undefined)) &&
    !product.test(path.said)
  ) {
    take(withLineAround(text, { kind: "path", start, end, presented: sourceEnding.test(path.said), ...path }));
  } else if (/^[\p{L}\p{N}_@.~$+-]+(?:[/\\][\p{L}\p{N}_@.~$+-]+)+\/?$/u.test(word)) {
    take({ kind: "path", start, end, said: word, presented: false });
  } else if (
    /^[\p{Lu}][\p{L}]{4,12}$/u.test(word) &&
    /^(?:Makefile|Dockerfile|Jenkinsfile|Gemfile|Rakefile|Procfile)$/.test(word)
  ) {
    take({ kind: "path", start, end, said: word, presented: false });
  } else if (isIdentifier(word) && (looksLikeSymbol(word) || word.endsWith("()") || isCalledSo(text, start, end))) {
    take({ kind: "symbol", start, end, said: nameOf(word), presented: false });
  }
}

/** "the Session class", "function render". */
function isCalledSo(text: string, start: number, end: number): boolean {
  const kinds =
    "class|function|method|constant|variable|interface|struct|enum|decorator|exception|field|property|parameter";
  return (
    new RegExp(`^ (?:${kinds})\\b`, "i").test(text.slice(end, end + 12)) &&
    /^\p{Lu}|_/u.test(text.slice(start, end)) &&
    !/^(?:The|This|That|A|An|Each|Its|Our|Another)$/.test(text.slice(start, end))
  );
}

/** A path and the line numbers written to it: ":12", ":12-15", ":12:5", "#L12", "#L12-L15". */
function splitLine(text: string): { said: string; line?: number; endLine?: number } {
  const match = /^(.{1,300}?)(?::|#L)(\d{1,7})(?:(?:-|–|:)L?(\d{1,7}))?$/u.exec(text);
  if (match === null) return { said: text };
  const line = Number(match[2]);
  const second = match[3] === undefined || /:\d+:\d+$/.test(text) ? undefined : Number(match[3]);
  return { said: match[1] ?? "", line, ...(second !== undefined && second >= line ? { endLine: second } : {}) };
}

function withLineAround(text: string, mention: Found): Found {
  if (mention.kind !== "path" || mention.line !== undefined) return mention;
  const before = /\blines?\s(\d{1,7})(?:\s?(?:-|–|to)\s?(\d{1,7}))?\s(?:of|in)\s(?:the\sfile\s)?[`*"(]{0,3}$/i.exec(
    text.slice(Math.max(0, mention.start - 60), mention.start),
  );
  if (before === null) return withLineAfter(text, mention);
  return { ...mention, line: Number(before[1]), ...(before[2] === undefined ? {} : { endLine: Number(before[2]) }) };
}

function withLineAfter(text: string, mention: Found): Found {
  const after =
    /^[`*"]{0,3}\s?[,(]?\s?(?:at\s|on\s|in\s|around\s)?(?:lines?\s|L)(\d{1,7})(?:\s?(?:-|–|to|through)\s?L?(\d{1,7}))?/i.exec(
      text.slice(mention.end, mention.end + 48),
    );
  if (after === null) {
    const colon = /^:(\d{1,7})(?:-(\d{1,7}))?/.exec(text.slice(mention.end, mention.end + 16));
    if (colon === null) return mention;
    return {
      ...mention,
      end: mention.end + colon[0].length,
      line: Number(colon[1]),
      ...(colon[2] === undefined ? {} : { endLine: Number(colon[2]) }),
    };
  }
  return { ...mention, line: Number(after[1]), ...(after[2] === undefined ? {} : { endLine: Number(after[2]) }) };
}

function withSentences(text: string, found: readonly Found[]): Mention[] {
  const mentions: Mention[] = [];
  let sentence = 0;
  let paragraph = 0;
  let at = 0;
  for (const mention of found) {
    // Only what lies between mentions can end a sentence: a dot within a path does not.
    const between = text.slice(at, mention.start);
    sentence += between.match(/[.!?](?=\s)|\n/g)?.length ?? 0;
    paragraph += between.match(/\n\s{0,200}\n/g)?.length ?? 0;
    mentions.push({ ...mention, sentence, paragraph });
    if (mention.kind === "block") sentence++;
    at = mention.end;
  }
  return mentions;
}

export function isIdentifier(text: string): boolean {
  return /^[#@$]?[\p{L}_$][\p{L}\p{N}_$]*(?:(?:\.|::|->|#)[\p{L}_$][\p{L}\p{N}_$]*){0,8}(?:\((?:\.\.\.|…)?\))?$/u.test(
    text,
  );
}

export function looksLikeSymbol(text: string): boolean {
  const bare = text.replace(/\(.*$/s, "");
  if (/^(?:e\.g|i\.e|etc|vs|a\.k\.a)$/i.test(bare) || product.test(bare)) return false;
  return (
    /_|[\p{Ll}\p{N}]\p{Lu}|\p{Lu}{2,}\p{Ll}{2}|\$|::|->/u.test(bare) ||
    /^[\p{L}_]{2,}\.[\p{L}_][\p{L}\p{N}_.]+$/u.test(bare)
  );
}

function nameOf(text: string): string {
  return text.replace(/\(.*$/s, "").replace(/^[#@$]/, "");
}
