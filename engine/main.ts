// main.ts — the engine process: JSON-RPC on standard input and output, wired to the engine. Decides nothing.
//
// It ends when its input ends, so that it never outlives the client that started it. Standard output belongs to the protocol;
// anything printed by mistake goes to standard error.

import {
  type CancellationToken,
  createMessageConnection,
  NotificationType,
  RequestType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import { z } from "zod";
import { Engine } from "./engine.ts";
import { QuireError } from "./errors.ts";
import { listKept, pinKept, readKeptAgain, removeAllKept, removeKept } from "./memory-requests.ts";
import { fromNative } from "./native.ts";
import { askSchema, initializeSchema, mapSchema, memorySchema, modelSchema, pinSchema } from "./parse-params.ts";
import { type Failure, failureCode, type LogEvent, methods, protocolVersion } from "./protocol.ts";
import { version } from "./version.ts";

console.log = console.error;

const connection = createMessageConnection(
  new StreamMessageReader(process.stdin),
  new StreamMessageWriter(process.stdout),
);

const engine = new Engine({
  stage: (event) => void connection.sendNotification(new NotificationType(methods.stage), event),
  text: (event) => void connection.sendNotification(new NotificationType(methods.text), event),
  fetching: (event) => void connection.sendNotification(new NotificationType(methods.fetching), event),
  planned: (event) => void connection.sendNotification(new NotificationType(methods.planned), event),
  log: (level, message) => void log(level, message),
  notice: (message) => void connection.sendNotification(new NotificationType(methods.notice), { message }),
});

function log(level: LogEvent["level"], message: string): Promise<void> {
  return connection.sendNotification(new NotificationType<LogEvent>(methods.log), { level, message });
}

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
      try {
        const parsed = schema.safeParse(raw);
        if (!parsed.success) throw new QuireError("bad-option", z.prettifyError(parsed.error), { where: method });
        return await run(parsed.data, controller.signal);
      } catch (error) {
        const failure = toFailure(error, controller.signal);
        if (failure.code !== "cancelled") report(method, failure, error);
        throw new ResponseError<Failure>(failureCode, failure.message, failure);
      }
    },
  );
}

/** What a failure was, for the log; of one that is ours to mend, the stack too. */
function report(method: string, failure: Failure, error: unknown): void {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  void log("error", `${method}: ${failure.message} (${failure.code})`);
  void log(failure.code === "internal" ? "error" : "debug", stack);
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

answer(methods.initialize, initializeSchema, (params) => {
  if (params.protocolVersion !== protocolVersion) {
    throw new QuireError(
      "bad-option",
      `The client speaks version ${params.protocolVersion} of the protocol, this engine ${protocolVersion}.`,
      { nextStep: "Install client and engine of the same version." },
    );
  }
  return { protocolVersion, engineVersion: version };
});
answer(methods.ask, askSchema, (params, signal) => engine.ask(params, signal));
answer(methods.map, mapSchema, (params, signal) => engine.map(params, signal));
answer(methods.follow, mapSchema, (params, signal) => engine.follow(params, signal));
answer(methods.listModels, z.unknown(), () => engine.listModels());
answer(methods.fetchModel, modelSchema, (params, signal) => engine.fetchModel(params.name, signal));
answer(methods.verifyModel, modelSchema, (params, signal) => engine.verifyModel(params.name, signal));
answer(methods.removeModel, modelSchema, (params) => engine.removeModel(params.name));
answer(methods.listMemories, z.unknown(), () => listKept());
answer(methods.removeMemory, memorySchema, ({ id }) => removeKept(id, engine));
answer(methods.pinMemory, pinSchema, ({ id, pinned }) => pinKept(id, pinned));
answer(methods.readMemoryAgain, memorySchema, ({ id }) => readKeptAgain(id, engine));
answer(methods.removeMemories, z.unknown(), () => removeAllKept(engine));
answer(methods.doctor, z.unknown(), () => engine.doctor());

connection.onClose(() => {
  engine.dispose();
  process.exit(0);
});
connection.listen();
