// announce.ts — what a screen reader is told: the beginning, progress at quarters, the end, an error. Sentences, never tokens.
//
// In: the states that the panel showed, one after the other. Out: sentences that are new, each to be said once. What was there
// when the panel opened is not told. Pure but for what was said before.

import { counted, durationText } from "../words/figures.ts";
import { progressWords } from "../words/progress.ts";
import { sinceText, stateSentence } from "../words/state.ts";
import { firstSentence } from "./markdown/first-sentence.ts";
import type { PanelTurn } from "./messages.ts";
import { markdownOf, type Shown } from "./panel-state.ts";

export interface Announcement {
  text: string;
  /** Said at once, before what waits to be said. */
  urgent: boolean;
}

interface Told {
  state: PanelTurn["state"];
  stage: string | undefined;
  quarter: number;
  changed: number;
}

/** Stages that last long enough to be worth a sentence; the others pass between two breaths. */
const toldStages = new Set(["waiting", "opening model", "reading", "fetching"]);

export class Announcer {
  private readonly told = new Map<string, Told>();
  private opened = false;
  private engineFailure = "";

  /** What is to be said now that this is shown. */
  next(shown: Shown): Announcement[] {
    if (shown === undefined) return [];
    const said = shown.thread.turns.flatMap((turn) => this.turn(turn));
    const failure = shown.engine.state === "failed" ? shown.engine.message : "";
    const failedNow = failure !== "" && failure !== this.engineFailure;
    this.engineFailure = failure;
    if (failedNow && !said.some(({ urgent }) => urgent)) said.push({ text: sentence(failure), urgent: true });
    if (this.opened) return said;
    this.opened = true;
    return [];
  }

  private turn(turn: PanelTurn): Announcement[] {
    const before = this.told.get(turn.id);
    const words = turn.progress === undefined ? undefined : progressWords(turn.progress);
    const stage = turn.progress?.stage;
    const quarter = Math.floor((words?.share ?? 0) * 4);
    const changed = turn.changedSince?.length ?? 0;
    this.told.set(turn.id, { state: turn.state, stage, quarter, changed });
    if (turn.state !== "working") return before?.state === turn.state ? outdated(turn, before.changed) : [ending(turn)];
    if (before === undefined) return [{ text: "Quire is working on your question.", urgent: false }];
    if (stage === undefined || words === undefined || !toldStages.has(stage)) return [];
    if (stage !== before.stage) return [{ text: opening(words.title, words.secondsLeft), urgent: false }];
    if (quarter <= before.quarter || quarter > 3) return [];
    const left = words.secondsLeft === undefined ? "" : ` About ${durationText(words.secondsLeft)} left.`;
    return [{ text: `${quarter * 25} percent.${left}`, urgent: false }];
  }
}

/** Said once an answer, with the first file: every key that is pressed later would say it again. */
function outdated({ changedSince = [] }: PanelTurn, before: number): Announcement[] {
  if (before > 0 || changedSince.length === 0) return [];
  return [{ text: sinceText(changedSince), urgent: false }];
}

function opening(title: string, secondsLeft: number | undefined): string {
  return secondsLeft === undefined ? title : `${title} About ${durationText(secondsLeft)} left.`;
}

function ending(turn: PanelTurn): Announcement {
  if (turn.state === "failed") {
    const { message, nextStep } = turn.failure ?? { message: "The question failed.", nextStep: "" };
    return { text: [sentence(message), nextStep].filter((part) => part !== "").join(" "), urgent: true };
  }
  if (turn.state === "stopped") return { text: "Stopped.", urgent: false };
  const verified = turn.answer?.citations.filter((citation) => citation.verified).length ?? 0;
  const citations = verified === 0 ? "No citations." : `${counted(verified, "citation")}.`;
  const state = turn.answer?.state === undefined ? "" : ` ${stateSentence(turn.answer.state)}`;
  return { text: `Answer: ${firstSentence(markdownOf(turn))} ${citations}${state}`, urgent: false };
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
