// worker.ts — the thread that renders a chat template, where it can be stopped. The build makes it `tokenize-worker.cjs`, beside the
// engine's bundle.
//
// In: `workerData`, a request. Out: one message, the text or why there is none.

import { parentPort, workerData } from "node:worker_threads";
import { type RenderRequest, renderTemplate } from "./render-template.ts";

export interface RenderJob {
  request: RenderRequest;
  /** Characters that the text may have. */
  maxLength: number;
}
export type RenderReply = { text: string } | { error: string };

function run({ request, maxLength }: RenderJob): RenderReply {
  try {
    const text = renderTemplate(request);
    return text.length > maxLength ? { error: `it gives ${text.length} characters` } : { text };
  } catch (error) {
    return { error: error instanceof Error ? error.message.slice(0, 500) : "it failed" };
  }
}

parentPort?.postMessage(run(workerData as RenderJob));
