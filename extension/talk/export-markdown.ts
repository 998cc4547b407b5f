// export-markdown.ts — a thread as a Markdown document, and one answer as text for the clipboard.
//
// In: turns as the panel shows them, and where a path leads from the document (`targetOf`). Out: Markdown with question,
// answer, citations as links to their lines, what was looked up, what was loaded, the model and its figures. Pure. Names and
// answers are escaped: the document opens in viewers that load images.

import type { PanelAnswer, PanelCitation, PanelTurn } from "../../media/messages.ts";
import { counted, numberText, percentText, placeText, rateText } from "../../words/figures.ts";
import { inlineCode, link, plainLines, plainText, safeMarkdown } from "./safe-markdown.ts";

/** The address of a path, encoded, seen from the document; undefined: it has none. */
export type TargetOf = (path: string) => string | undefined;

export function exportThread(turns: readonly PanelTurn[], targetOf: TargetOf): string {
  return `${turns.map((turn) => exportTurn(turn, targetOf)).join("\n\n---\n\n")}\n`;
}

/** An answer as it was written, with its citations as a list; Markdown, not escaped: it goes where the user puts it. */
export function copyAnswer(turn: PanelTurn): string {
  const { answer } = turn;
  if (answer === undefined) return turn.text.trim();
  const citations = answer.citations
    .filter(isPlace)
    .map(({ index, path, line }) => `[${index}] ${placeText(path, line)}`);
  return [answer.preface, answer.marked, citations.join("\n")].filter((part) => part !== "").join("\n\n");
}

/** A relative address of a path: encoded, so that no character of a name means anything in it. */
export function encodePath(path: string): string {
  return path
    .split("/")
    .map((segment) => encodeURIComponent(segment).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`))
    .join("/");
}

/** `#L12`; nothing for a whole file. */
export const lineFragment = (line: number): string => (line > 0 ? `#L${line}` : "");

function exportTurn(turn: PanelTurn, targetOf: TargetOf): string {
  const linkTo = (path: string, line: number): string => {
    const target = targetOf(path);
    return target === undefined
      ? inlineCode(placeText(path, line))
      : link(placeText(path, line), target + lineFragment(line));
  };
  const { answer, scope, failure } = turn;
  const [title = "", ...more] = turn.question.trim().split(/\r\n?|\n/);
  const parts = [`## ${plainText(title)}`, more.map((line) => `> ${plainText(line)}`).join("\n")];
  if (scope !== undefined) parts.push(`About ${linkTo(scope.path, scope.startLine)} to line ${scope.endLine}.`);
  if (answer === undefined) parts.push(safeMarkdown(turn.text));
  else parts.push(...answerParts(answer, linkTo, targetOf));
  if (turn.state === "stopped") parts.push("*Stopped before the end.*");
  if (failure !== undefined) parts.push(`**No answer.** ${plainText(failure.message)} ${plainText(failure.nextStep)}`);
  return parts.filter((part) => part !== "").join("\n\n");
}

function answerParts(
  answer: PanelAnswer,
  linkTo: (path: string, line: number) => string,
  targetOf: TargetOf,
): string[] {
  const { model, preface, marked, citations, lookedUp, loaded, stats } = answer;
  const byIndex = new Map(citations.map((citation) => [citation.index, citation]));
  const parts = [
    plainLines(preface),
    safeMarkdown(marked, (index) => {
      const citation = byIndex.get(index);
      if (citation === undefined || !isPlace(citation)) return undefined;
      const target = targetOf(citation.path);
      return target === undefined ? undefined : target + lineFragment(citation.line);
    }),
  ];
  const listed = citations.filter(isPlace);
  if (listed.length > 0)
    parts.push(
      list(
        "Citations",
        listed.map((citation) => citationLine(citation, linkTo)),
      ),
    );
  if (lookedUp.length > 0) {
    const rows = lookedUp.map(
      ({ path, startLine, endLine, tokens, why }) =>
        `${linkTo(path, startLine)} to line ${endLine} (${counted(tokens, "token")}): ${plainText(why)}`,
    );
    parts.push(list("Added for this question", rows));
  }
  if (loaded.length > 0) {
    const rows = loaded.slice(0, 10).map(({ path, share }) => `${linkTo(path, 0)} ${percentText(share)}`);
    parts.push(list("Loaded most (loaded is not the same as used)", rows));
  }
  parts.push(`*${plainText(model)}: ${figures(stats)}*`);
  return parts;
}

function citationLine(citation: PanelCitation, linkTo: (path: string, line: number) => string): string {
  const { index, path, line, text, choices } = citation;
  const others = choices.flatMap((choice) =>
    choice.path === path && choice.line === line ? [] : [linkTo(choice.path, choice.line)],
  );
  const also = others.length > 0 ? `, or ${others.join(", ")}` : "";
  return `\\[${index}\\] ${linkTo(path, line)}${also}${text.trim() === "" ? "" : ` ${inlineCode(text.trim())}`}`;
}

/** What an answer took, in a line. */
export function figures(stats: PanelAnswer["stats"]): string {
  return [
    `${counted(stats.decodedTokens, "token")} at ${rateText(stats.decodeTokensPerSecond)} tokens/s`,
    `first after ${rateText(stats.timeToFirstTokenMs / 1000)} s`,
    `${counted(stats.prefilledTokens, "token")} read, ${numberText(stats.reusedTokens)} from memory`,
    `${numberText(stats.pagesAttended)} of ${numberText(stats.pagesTotal)} pages attended`,
    plainText(stats.backend),
  ].join(", ");
}

function list(title: string, rows: readonly string[]): string {
  return `**${title}**\n\n${rows.map((row) => `- ${row}`).join("\n")}`;
}

/** Tells whether a citation has a number and leads somewhere; one that does not is marked with [?]. */
export const isPlace = ({ index }: PanelCitation): boolean => index > 0;
