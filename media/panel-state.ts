// panel-state.ts — what the panel shows, after each message of the host.
//
// In: the state so far and a message. Out: the next state; turns that a message does not touch stay the same objects, so that
// their views are not rendered again. Pure. A message about a turn that is not there changes nothing.

import type { PanelState, PanelTurn, ToPanel } from "./messages.ts";

/** Undefined: the host has not yet said anything. */
export type Shown = PanelState | undefined;

/** The state after a message. */
export function applyMessage(shown: Shown, message: ToPanel): Shown {
  if (message.type === "state") return message.state;
  if (shown === undefined || message.type === "focus") return shown;
  if (message.type === "progress")
    return withTurn(shown, message.turn, (turn) => ({ ...turn, progress: message.progress }));
  return withTurn(shown, message.turn, (turn) => ({ ...turn, text: turn.text + message.text }));
}

function withTurn(state: PanelState, id: string, change: (turn: PanelTurn) => PanelTurn): PanelState {
  if (!state.thread.turns.some((turn) => turn.id === id)) return state;
  const turns = state.thread.turns.map((turn) => (turn.id === id ? change(turn) : turn));
  return { ...state, thread: { ...state.thread, turns } };
}

/** The turn that is being worked on, if any. */
export function workingTurn(state: PanelState): PanelTurn | undefined {
  return state.thread.turns.find((turn) => turn.state === "working");
}

/** The Markdown of a turn: what was streamed, and in the end the same with its markers. */
export function markdownOf(turn: PanelTurn): string {
  if (turn.answer === undefined) return turn.text;
  const { preface, marked } = turn.answer;
  return preface === "" ? marked : `${preface}\n\n${marked}`;
}
