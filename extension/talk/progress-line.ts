// progress-line.ts — what is being done, in a sentence, for places that are not the panel (inline threads, the status line). Pure.

import type { PanelProgress } from "../../media/messages.ts";

export function progressLine(progress: PanelProgress): string {
  switch (progress.stage) {
    case "waiting":
      return "Waiting for another answer…";
    case "starting":
      return "Starting the engine…";
    case "collecting":
      return "Looking for files…";
    case "planning":
      return "Choosing what to read…";
    case "opening model":
      return "Opening the model…";
    case "tokenizing":
      return "Counting tokens…";
    case "looking up":
      return "Looking up what the question names…";
    case "answering":
      return "Answering…";
    case "reading":
      return `Reading the workspace: ${amount(progress)}`;
    case "reading question":
      return `Reading the question: ${amount(progress)}`;
    case "fetching": {
      const { model, done, total, secondsLeft } = progress;
      const left = secondsLeft === null ? "" : `, ${timeLeft(secondsLeft)}`;
      return `Downloading ${model}: ${megabytes(done)} of ${megabytes(total)} MB${left}…`;
    }
  }
}

/** "about 3 min left": coarse, so that it does not flicker. */
export function timeLeft(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "";
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${Math.round(seconds / 10) * 10} s left`;
  if (seconds < 5_400) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${(seconds / 3_600).toFixed(1)} h left`;
}

function amount({ done, total, tokensPerSecond, secondsLeft }: Extract<PanelProgress, { tokensPerSecond: number }>) {
  const left = timeLeft(secondsLeft);
  const speed = tokensPerSecond > 0 && done > 0 ? `, ${Math.round(tokensPerSecond)} tokens/s` : "";
  return `${counted(done)} of ${counted(total)} tokens${speed}${left === "" ? "" : `, ${left}`}…`;
}

const counted = (value: number): string => value.toLocaleString("en-US");
const megabytes = (bytes: number): string => Math.round(bytes / 1e6).toString();
