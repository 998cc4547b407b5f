// engine-state.ts — in which state the engine is, as the panel and the status item show it, from what it says of its work. Pure.

import type { FetchEvent, StageEvent } from "../../engine/protocol.ts";
import type { EngineState } from "../../media/messages.ts";

/** What an ask or a plan is at; a stage "waiting" says nothing of the engine. */
export function stateOf(event: StageEvent): EngineState {
  switch (event.stage) {
    case "reading":
      return { state: "reading", percent: percentOf(event.done, event.total) };
    case "looking up":
    case "reading question":
    case "answering":
      return { state: "answering" };
    default:
      return { state: "preparing" };
  }
}

/** A model is being fetched. */
export const fetchingState = ({ bytesDone, bytesTotal }: FetchEvent): EngineState => ({
  state: "fetching",
  percent: percentOf(bytesDone, bytesTotal),
});

const percentOf = (done: number, total: number): number => (total === 0 ? 100 : Math.floor((100 * done) / total));
