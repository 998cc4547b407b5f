// start-worker.ts — starts worker.ts as a thread: the bundle `tokenize-worker.cjs` beside the engine's, else the source itself with
// tsx where the sources run as they are (tests).
//
// In: a job and limits. Out: a Worker.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { type ResourceLimits, Worker } from "node:worker_threads";
import { here } from "../here.ts";
import type { RenderJob } from "./worker.ts";

/** Starts a thread for one job. It does not keep the process alive. */
export function startWorker(job: RenderJob, resourceLimits: ResourceLimits = {}): Worker {
  const bundle = path.join(here, "tokenize-worker.cjs");
  // What it prints is no part of the engine's output.
  const options = { workerData: job, resourceLimits, stdout: true, stderr: true };
  const worker = existsSync(bundle) ? new Worker(bundle, options) : startSource(options);
  worker.unref();
  return worker;
}

function startSource(options: object): Worker {
  const source = path.join(here, "tokenize", "worker.ts");
  // A thread does not inherit tsx from how the process was started: it registers it itself.
  const tsx = pathToFileURL(
    path.join(createRequire(source).resolve("tsx/package.json"), "..", "dist", "esm", "api", "index.mjs"),
  );
  const script = `import(${JSON.stringify(tsx.href)}).then((tsx) => (tsx.register(), import(${JSON.stringify(pathToFileURL(source).href)})))`;
  return new Worker(script, { ...options, eval: true });
}
