// comment-body.ts — a turn as the Markdown of an inline comment.
//
// In: a turn as the panel shows it, and the address of a path's line (`addressOf`). Out: Markdown. Its links are citations that
// stand in what was read, and, below a failure or a stop, commands of ours: `trusted` says which. Answers, names and messages
// are escaped, so that none of them can be a link, an image or HTML. Pure.

import type { PanelTurn, Remedy } from "../../media/messages.ts";
import { placeText } from "../../words/figures.ts";
import { progressSentence } from "../../words/progress.ts";
import { isPlace } from "../talk/export-markdown.ts";
import { link, plainLines, plainText, safeMarkdown } from "../talk/safe-markdown.ts";

export interface Body {
  markdown: string;
  /** Commands that its links may run. */
  trusted: string[];
}

/** The address of a line, encoded; undefined: the path leads nowhere in this workspace. */
export type AddressOf = (path: string, line: number) => string | undefined;

interface Button {
  title: string;
  command: string;
  query?: string;
}

/** What an inline thread can offer after a failure. */
const buttons: Partial<Record<Remedy, Button>> = {
  "choose model": { title: "Choose Model", command: "quire.chooseModel" },
  "open settings": { title: "Open Settings", command: "quire.openSettings" },
  "show log": { title: "Show Log", command: "quire.showLog" },
};

export function questionBody(turn: PanelTurn): Body {
  return { markdown: plainLines(turn.question), trusted: [] };
}

/** @param thread the id by which quire.explain.askAgain finds the thread; given for its last turn */
export function answerBody(turn: PanelTurn, addressOf: AddressOf, thread?: string): Body {
  const { answer, progress, failure, state, notices } = turn;
  const parts = notices.map((notice) => `*${plainText(notice)}*`);
  parts.push(...(answer === undefined ? [safeMarkdown(turn.text)] : answered(answer, addressOf)));
  if (state === "working") parts.push(`*${plainText(progressSentence(progress ?? { stage: "answering" }))}*`);
  if (state === "stopped") parts.push("*Stopped.*");
  if (state === "done" && answer?.stop === "length") parts.push("*Cut off: the answer reached its longest length.*");
  if (state === "done" && answer?.stop === "repeats") parts.push("*Cut where it began to repeat itself.*");
  if (state === "done" && answer?.stop === "full") parts.push("*Cut off: the memory is full.*");
  if (failure !== undefined) parts.push(`**No answer.** ${plainText(failure.message)} ${plainText(failure.nextStep)}`);
  const offered = [
    ...(failure?.remedies ?? []).flatMap((remedy) => buttons[remedy] ?? []),
    ...((state === "failed" || state === "stopped") && thread !== undefined ? [again(thread)] : []),
  ];
  parts.push(offered.map(({ title, command, query = "" }) => link(title, `command:${command}${query}`)).join(" · "));
  return {
    markdown: parts.filter((part) => part !== "").join("\n\n"),
    trusted: offered.map(({ command }) => command),
  };
}

const again = (thread: string): Button => ({
  title: "Ask Again",
  command: "quire.explain.askAgain",
  query: `?${encodeURIComponent(JSON.stringify([thread]))}`,
});

function answered({ preface, marked, citations }: NonNullable<PanelTurn["answer"]>, addressOf: AddressOf): string[] {
  const places = citations.filter(isPlace);
  const address = new Map(places.map(({ index, path, line }) => [index, addressOf(path, line)]));
  const cited = places.flatMap(({ index, path, line }) => {
    const target = address.get(index);
    return target === undefined ? [] : [link(`[${index}] ${placeText(path, line)}`, target)];
  });
  return [plainLines(preface), safeMarkdown(marked, (index) => address.get(index)), cited.join(" · ")];
}
