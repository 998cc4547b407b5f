// session.ts — the frame of a command that talks to the engine: reach it, show progress, let Ctrl-C cancel, leave it.

import { numberText } from "../../words/figures.ts";
import { EngineClient, type EngineEvents } from "./engine-client.ts";
import { Progress, say } from "./output.ts";

export interface Session {
  request: <Result>(method: string, params: unknown) => Promise<Result>;
  progress: Progress;
}

/**
 * Runs `body` with an engine. The first Ctrl-C cancels what runs and lets it stop in order; a second one ends at once.
 * @param onText receives the text of answers as it comes
 * @param alone an engine for this command alone, which ends with it
 */
export async function withEngine<Result>(
  body: (session: Session) => Promise<Result>,
  onText: (text: string) => void = () => {},
  alone?: boolean,
): Promise<Result> {
  const progress = new Progress();
  const stopper = new AbortController();
  const interrupt = (): void => {
    if (stopper.signal.aborted) process.exit(130);
    stopper.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  let plan = "";
  const events: Partial<EngineEvents> = {
    planned: ({ usedTokens, model, budgetReason }) => {
      plan = `Reading ${numberText(usedTokens)} tokens with ${model} (${budgetReason}).`;
    },
    stage: (event) => {
      // Said only if there is something to read that is not in memory.
      if (event.stage === "reading" && plan !== "") say(plan);
      if (event.stage === "reading") plan = "";
      progress.stage(event);
    },
    text: (event) => onText(event.text),
    fetching: (event) => progress.fetching(event),
    notice: (event) => {
      progress.stop();
      say(event.message);
    },
  };
  const client = await EngineClient.start(events, alone);
  try {
    return await body({
      request: (method, params) => client.request(method, params, stopper.signal),
      progress,
    });
  } finally {
    progress.stop();
    await client.dispose();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
