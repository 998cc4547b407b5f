// serve.ts — one client's connection, from its greeting to its end: requests are parsed and handed to the engine, events go back.
//
// Decides nothing. When the connection ends, so does all that this client asked, and nothing else.

import { type CancellationToken, type MessageConnection, RequestType, ResponseError } from "vscode-jsonrpc/node";
import { z } from "zod";
import type { Client } from "./client.ts";
import { doctorReport } from "./doctor.ts";
import type { Engine } from "./engine.ts";
import { QuireError } from "./errors.ts";
import { listKept, pinKept, readKeptAgain, removeAllKept, removeKept } from "./memory-requests.ts";
import { fetchRow, listRows, removeRow, verifyRow } from "./model-requests.ts";
import { fromNative } from "./native.ts";
import { askSchema, initializeSchema, mapSchema, memorySchema, modelSchema, pinSchema } from "./parse-params.ts";
import { type Failure, failureCode, type LogEvent, methods, protocolVersion } from "./protocol.ts";
import { version } from "./version.ts";

export interface ServeOptions {
  /** The client asks that the engine ends, for all. */
  stop: (client: string) => void;
  /** A GPU that failed takes nothing more from this process. */
  broken: () => void;
  /** With the minutes that a shared engine is wished to stay. */
  gone: (keepMinutes: number | undefined) => void;
}

export interface Served {
  /** Tells the client that it must go, or that the engine does; resolves when that is written. */
  farewell(message: string): Promise<void>;
  /** What it asked is stopped. */
  end(): void;
}

export function serve(connection: MessageConnection, engine: Engine, options: ServeOptions): Served {
  const ending = new AbortController();
  let greeted: { client: Client; name: string; keepMinutes: number | undefined } | undefined;

  /** To a client that has gone nothing is said. */
  async function tell(method: string, event: object): Promise<void> {
    if (!ending.signal.aborted) await connection.sendNotification(method, event).catch(() => {});
  }
  const log = (level: LogEvent["level"], message: string): void => void tell(methods.log, { level, message });

  /** Registers one request: parse, run with a signal, turn failures into `Failure`. */
  function answer<Params, Result>(
    method: string,
    schema: z.ZodType<Params>,
    run: (params: Params, signal: AbortSignal) => Promise<Result> | Result,
  ): void {
    connection.onRequest(
      new RequestType<unknown, unknown, Failure>(method),
      async (raw: unknown, token: CancellationToken) => {
        const controller = new AbortController();
        // A request that was cancelled before it was dispatched comes with a token that never fires.
        if (token.isCancellationRequested) controller.abort();
        else token.onCancellationRequested(() => controller.abort());
        const signal = AbortSignal.any([controller.signal, ending.signal]);
        try {
          const parsed = schema.safeParse(raw);
          if (!parsed.success) throw new QuireError("bad-option", z.prettifyError(parsed.error), { where: method });
          return await run(parsed.data, signal);
        } catch (error) {
          const failure = toFailure(error, signal);
          if (failure.code !== "cancelled") report(log, method, failure, error);
          if (failure.code === "device-fault") options.broken();
          throw new ResponseError<Failure>(failureCode, failure.message, failure);
        }
      },
    );
  }

  /** As `answer`, for a client that has greeted. */
  function serveClient<Params, Result>(
    method: string,
    schema: z.ZodType<Params>,
    run: (client: Client, params: Params, signal: AbortSignal) => Promise<Result> | Result,
  ): void {
    answer(method, schema, (params, signal) => {
      if (greeted === undefined) throw new QuireError("bad-option", `The first request is ${methods.initialize}.`);
      return run(greeted.client, params, signal);
    });
  }

  answer(methods.initialize, initializeSchema, (params) => {
    if (params.protocolVersion !== protocolVersion) {
      throw new QuireError(
        "bad-option",
        `The client speaks version ${params.protocolVersion} of the protocol, this engine ${protocolVersion}.`,
        { nextStep: "Install client and engine of the same version." },
      );
    }
    if (greeted === undefined && !ending.signal.aborted) {
      const client = engine.join(params.client, {
        stage: (event) => void tell(methods.stage, event),
        text: (event) => void tell(methods.text, event),
        fetching: (event) => void tell(methods.fetching, event),
        planned: (event) => void tell(methods.planned, event),
        log,
        notice: (message) => void tell(methods.notice, { message }),
      });
      greeted = { client, name: params.client, keepMinutes: params.keepMinutes };
    }
    return { protocolVersion, engineVersion: version, pid: process.pid };
  });
  serveClient(methods.ask, askSchema, (client, params, signal) => client.ask(params, signal));
  serveClient(methods.map, mapSchema, (client, params, signal) => client.map(params, signal));
  serveClient(methods.follow, mapSchema, (client, params, signal) =>
    client.follow(params, AbortSignal.any([signal, engine.quiet])),
  );
  serveClient(methods.listModels, z.unknown(), () => listRows());
  serveClient(methods.fetchModel, modelSchema, (client, { name }, signal) =>
    fetchRow(name, signal, {
      fetching: (model, progress) => client.fetching(model, progress),
      notice: (message) => void tell(methods.notice, { message }),
    }),
  );
  serveClient(methods.verifyModel, modelSchema, (_, { name }, signal) => verifyRow(name, signal));
  serveClient(methods.removeModel, modelSchema, (client, { name }) =>
    removeRow(name, engine.models, client, engine.questions),
  );
  serveClient(methods.listMemories, z.unknown(), () => listKept());
  serveClient(methods.removeMemory, memorySchema, (_, { id }) => removeKept(id, engine));
  serveClient(methods.pinMemory, pinSchema, (_, { id, pinned }) => pinKept(id, pinned));
  serveClient(methods.readMemoryAgain, memorySchema, (_, { id }) => readKeptAgain(id, engine));
  serveClient(methods.removeMemories, z.unknown(), () => removeAllKept(engine));
  serveClient(methods.doctor, z.unknown(), async () => doctorReport(await listRows()));
  serveClient(methods.status, z.unknown(), () => engine.status());
  serveClient(methods.stop, z.unknown(), () => {
    options.stop(greeted?.name ?? "");
    return null;
  });

  const end = (): void => {
    if (ending.signal.aborted) return;
    ending.abort();
    if (greeted !== undefined) engine.left(greeted.client);
    options.gone(greeted?.keepMinutes);
  };
  connection.onError(() => {}); // a stream that breaks is closed
  connection.onClose(end);
  connection.listen();
  return { farewell: (message) => tell(methods.leaving, { message }), end };
}

/** What a failure was, for the log; of one that is ours to mend, the stack too. */
function report(
  log: (level: LogEvent["level"], message: string) => void,
  method: string,
  failure: Failure,
  error: unknown,
): void {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log("error", `${method}: ${failure.message} (${failure.code})`);
  log(failure.code === "internal" ? "error" : "debug", stack);
  if (failure.code === "internal") console.error(stack);
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split("\n")[0] ?? "").replace(/\.$/, "");
}

function toFailure(thrown: unknown, signal: AbortSignal): Failure {
  const error = fromNative(thrown);
  const known =
    signal.aborted && !(error instanceof QuireError && error.code !== "cancelled")
      ? new QuireError("cancelled", "Stopped.")
      : error instanceof QuireError
        ? error
        : new QuireError("internal", `Something went wrong inside Quire: ${firstLine(error)}.`);
  return {
    code: known.code,
    message: known.message,
    nextStep: known.nextStep,
    ...(known.where === undefined ? {} : { where: known.where }),
  };
}
