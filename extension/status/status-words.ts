// status-words.ts — what the status item says in each state of the engine. Pure.

import type { EngineState } from "../../media/messages.ts";
import { numberText } from "../../words/figures.ts";
import type { EngineMemory } from "../engine/service.ts";

export interface StatusWords {
  /** With an icon, as short as it gets. */
  text: string;
  /** A sentence, for the tooltip and for screen readers. */
  sentence: string;
  failed: boolean;
}

export function statusWords(state: EngineState): StatusWords {
  switch (state.state) {
    case "stopped":
      return { text: "$(book) Quire", sentence: "Quire is not running; it starts with a question.", failed: false };
    case "starting":
      return { text: "$(loading~spin) Quire", sentence: "Quire's engine is starting.", failed: false };
    case "fetching":
      return {
        text: `$(cloud-download) Quire ${state.percent} %`,
        sentence: `Quire has downloaded ${state.percent} % of the model.`,
        failed: false,
      };
    case "preparing":
      return { text: "$(loading~spin) Quire", sentence: "Quire is planning what to read.", failed: false };
    case "reading":
      return {
        text: `$(loading~spin) Quire ${state.percent} %`,
        sentence: `Quire has read ${state.percent} % of the repository.`,
        failed: false,
      };
    case "ready":
      return { text: "$(book) Quire", sentence: "Quire is ready.", failed: false };
    case "answering":
      return { text: "$(loading~spin) Quire", sentence: "Quire is answering.", failed: false };
    case "failed":
      return { text: "$(error) Quire", sentence: `Quire's engine failed. ${state.message}`, failed: true };
  }
}

/** What the tooltip says besides: the model, tokens in memory or to be read, and the budget. */
export function memoryLines({ model, budgetReason, plannedTokens, heldTokens }: EngineMemory): string[] {
  const tokens =
    heldTokens === undefined
      ? `To be read: ${numberText(plannedTokens)} tokens`
      : `In memory: ${numberText(heldTokens)} tokens of this workspace`;
  return [`Model: ${model}`, tokens, `Budget: ${budgetReason}`];
}
