// model-words.ts — the lines of the model picker. Pure.

import type { ModelRow } from "../../engine/protocol.ts";
import { bytesText } from "../../words/figures.ts";

export interface ModelChoice {
  label: string;
  description: string;
  detail: string;
  name: string;
  title: string;
  /** It is not on disk yet. */
  toFetch: boolean;
}

const states: Record<ModelRow["state"], string> = {
  present: "on this machine",
  partial: "partly downloaded; the rest will be downloaded",
  missing: "will be downloaded",
  corrupt: "damaged; will be downloaded again",
};

export function modelChoices(rows: readonly ModelRow[], chosen: string): ModelChoice[] {
  const auto: ModelChoice = {
    label: mark("Automatic", chosen === "auto"),
    description: "",
    detail: "The largest model that reads this repository in under ten minutes on this machine.",
    name: "auto",
    title: "Automatic",
    toFetch: false,
  };
  const models = rows.map(({ name, title, licence, bytes, context, state }) => ({
    label: mark(title, chosen === name),
    description: `${bytesText(bytes)}, ${licence}`,
    detail: `Reads up to ${Math.floor(context / 1024)}k tokens; ${states[state]}.`,
    name,
    title,
    toFetch: state !== "present",
  }));
  return [auto, ...models];
}

function mark(title: string, chosen: boolean): string {
  return chosen ? `$(check) ${title}` : title;
}
