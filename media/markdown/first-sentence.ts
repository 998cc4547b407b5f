// first-sentence.ts — how an answer begins, in plain words, for those who hear it. Pure.

const longest = 300;

/** The first sentence of an answer's Markdown: without markers, headings, code blocks and signs of emphasis. */
export function firstSentence(markdown: string): string {
  const line =
    markdown
      .slice(0, 20_000)
      .replace(/^ {0,3}(```|~~~)[\s\S]*?(?:^ {0,3}\1[^\n]*$|(?![\s\S]))/gm, "")
      .split("\n")
      .filter((candidate) => !/^\s*(?:#|\||[-=*_]{3,}\s*$)/.test(candidate))
      .map(plain)
      .find((candidate) => candidate !== "") ?? "";
  const end = /^.*?[.!?:](?=\s|$)/.exec(line)?.[0] ?? line;
  const text = end.length > longest ? `${end.slice(0, longest)} …` : end;
  return /[.!?]$/.test(text) || text === "" ? text : `${text.replace(/:$/, "")}.`;
}

function plain(line: string): string {
  return line
    .replace(/^\s*(?:>\s*)*(?:[-*+]|\d+[.)])?\s+/, "")
    .replace(/(^|\s)\[(?:\d+|\?)\](?=\W|$)/g, "$1")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/\*+(?=\S)|(?<=\S)\*+|~~|`/g, "")
    .replace(/\s+/g, " ")
    .replace(/\s+([.,;:!?])/g, "$1")
    .trim();
}
