// progress.ts — what is being done for a turn, as a sentence and, where it can be counted, a share.
//
// In: a turn's progress. Out: words for the eye, shorter words for the ear. Pure.

import type { PanelProgress } from "../media/messages.ts";
import { bytesText, durationText, numberText, percentText, rateText } from "./figures.ts";

export interface ProgressWords {
  /** What is being done, without figures. */
  title: string;
  /** Figures, where there are any. */
  figures: string;
  /** 0 to 1; undefined: it cannot be told. */
  share: number | undefined;
  secondsLeft: number | undefined;
}

const titles: Record<PanelProgress["stage"], string> = {
  waiting: "Waiting for the answer before this one.",
  starting: "Starting the engine.",
  collecting: "Looking for the workspace's files.",
  planning: "Planning what to read.",
  "opening model": "Opening the model.",
  tokenizing: "Counting tokens.",
  "looking up": "Looking up what the question names.",
  answering: "Writing the answer.",
  reading: "Reading the workspace. This is done once; later questions use what is in memory.",
  "reading question": "Reading the question against everything in memory.",
  fetching: "Downloading the model. This is done once.",
};

/** The words of a turn's progress. */
export function progressWords(progress: PanelProgress): ProgressWords {
  const title = titles[progress.stage];
  if (progress.stage === "fetching") {
    const { model, done, total, bytesPerSecond, secondsLeft } = progress;
    const share = shareOf(done, total);
    const left = done < total && secondsLeft !== null ? `about ${durationText(secondsLeft)} left` : "";
    return {
      title,
      figures: joined([
        `${model}: ${bytesText(done)} of ${bytesText(total)} (${percentText(share)})`,
        bytesPerSecond > 0 ? `${bytesText(bytesPerSecond)}/s` : "",
        left,
      ]),
      share,
      secondsLeft: secondsLeft ?? undefined,
    };
  }
  if (progress.stage === "reading" || progress.stage === "reading question") {
    const { done, total, tokensPerSecond, secondsLeft } = progress;
    const share = shareOf(done, total);
    const known = tokensPerSecond > 0 && done < total;
    return {
      title,
      figures: joined([
        `${numberText(done)} of ${numberText(total)} tokens (${percentText(share)})`,
        tokensPerSecond > 0 ? `${rateText(tokensPerSecond)} tokens/s` : "",
        known ? `about ${durationText(secondsLeft)} left` : "",
      ]),
      share,
      secondsLeft: known ? secondsLeft : undefined,
    };
  }
  // Also of other windows and terminals, which share the engine.
  const ahead = progress.stage === "waiting" ? (progress.ahead ?? 1) : 1;
  const waiting = `Waiting for the ${numberText(ahead)} answers before this one.`;
  return { title: ahead > 1 ? waiting : title, figures: "", share: undefined, secondsLeft: undefined };
}

/** The same in one sentence with its figures, for places without a bar. */
export function progressSentence(progress: PanelProgress): string {
  const { title, figures } = progressWords(progress);
  return figures === "" ? title : `${title} ${figures}.`;
}

function shareOf(done: number, total: number): number {
  return total > 0 ? Math.min(1, done / total) : 0;
}

function joined(parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(", ");
}
