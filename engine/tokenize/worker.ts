// worker.ts — the thread that encodes texts or renders a chat template apart from the engine. The build makes it
// `tokenize-worker.cjs`, beside the engine's bundle.
//
// In: `workerData` says which job; for "encode" then messages with texts. Out: messages with ids, or one with the rendered text.

import { parentPort, workerData } from "node:worker_threads";
import { type RenderRequest, renderTemplate } from "./render-template.ts";
import { Tokenizer, type TokenizerSource } from "./tokenizer.ts";

export type WorkerJob =
  | { job: "render"; request: RenderRequest; maxLength: number }
  | { job: "encode"; source: TokenizerSource };
export interface EncodeRequest {
  first: number;
  texts: string[];
}
export type RenderReply = { text: string } | { error: string };
export interface EncodeReply {
  first: number;
  ids: Int32Array[];
}

function main(port: NonNullable<typeof parentPort>, job: WorkerJob): void {
  if (job.job === "render") {
    let reply: RenderReply;
    try {
      const text = renderTemplate(job.request);
      reply = text.length > job.maxLength ? { error: `it gives ${text.length} characters` } : { text };
    } catch (error) {
      reply = { error: error instanceof Error ? error.message.slice(0, 500) : "it failed" };
    }
    port.postMessage(reply);
    return;
  }
  const tokenizer = new Tokenizer(job.source);
  port.on("message", ({ first, texts }: EncodeRequest) => {
    const ids = texts.map((text) => tokenizer.encode(text));
    port.postMessage(
      { first, ids } satisfies EncodeReply,
      ids.map((list) => list.buffer as ArrayBuffer),
    );
  });
}

if (parentPort !== null) main(parentPort, workerData as WorkerJob);
