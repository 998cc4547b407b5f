// engine-client.ts — starts the engine process and speaks its protocol; one more client like the extension.
//
// The engine is a child with its own standard input and output; its standard error is passed on. Ctrl-C reaches the child's
// process group too, so it is started in a group of its own: the client cancels, the child stops in order.

import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import {
  CancellationTokenSource,
  createMessageConnection,
  type MessageConnection,
  NotificationType,
  RequestType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import { type ErrorCode, nextSteps, QuireError } from "../errors.ts";
import { here } from "../here.ts";
import {
  type EngineInfo,
  type Failure,
  type FetchEvent,
  methods,
  type NoticeEvent,
  type PlannedEvent,
  protocolVersion,
  type StageEvent,
  type TextEvent,
} from "../protocol.ts";

export interface EngineEvents {
  planned: (event: PlannedEvent) => void;
  stage: (event: StageEvent) => void;
  text: (event: TextEvent) => void;
  fetching: (event: FetchEvent) => void;
  notice: (event: NoticeEvent) => void;
}

/** What starts the engine: the bundle beside the CLI's. QUIRE_ENGINE names another program of Node. */
function engineProgram(): string {
  return process.env.QUIRE_ENGINE ?? path.join(here, "engine.cjs");
}

export class EngineClient {
  readonly #child: ChildProcess;
  readonly #connection: MessageConnection;
  /** Rejects when the engine ends; never resolves. */
  readonly #ended: Promise<never>;

  private constructor(child: ChildProcess, connection: MessageConnection) {
    this.#child = child;
    this.#connection = connection;
    this.#ended = new Promise((_, reject) => {
      child.once("error", (cause) =>
        reject(new QuireError("internal", `The engine does not start: ${cause.message}.`)),
      );
      child.once("exit", (status, signal) => {
        const how = `The engine ended unexpectedly (${signal ?? `status ${status}`}).`;
        // Linux ends a process like this when memory runs out.
        const hint = { nextStep: "If memory ran out, lower the token budget or choose a smaller model; ask again." };
        reject(new QuireError("internal", how, signal === "SIGKILL" ? hint : {}));
      });
    });
    this.#ended.catch(() => connection.dispose());
  }

  /** Starts the engine and agrees on the protocol's version. */
  static async start(events: Partial<EngineEvents>): Promise<EngineClient> {
    const child = spawn(process.execPath, [engineProgram()], {
      stdio: ["pipe", "pipe", "inherit"],
      detached: process.platform !== "win32",
      env: { ...process.env, ELECTRON_RUN_AS_NODE: "1" },
    });
    child.stdin.on("error", () => {}); // a write after the child's end; #ended tells
    const connection = createMessageConnection(
      new StreamMessageReader(child.stdout),
      new StreamMessageWriter(child.stdin),
    );
    const client = new EngineClient(child, connection);
    const listen = <Event>(method: string, handler: ((event: Event) => void) | undefined): void => {
      if (handler !== undefined) connection.onNotification(new NotificationType<Event>(method), handler);
    };
    listen(methods.planned, events.planned);
    listen(methods.stage, events.stage);
    listen(methods.text, events.text);
    listen(methods.fetching, events.fetching);
    listen(methods.notice, events.notice);
    connection.listen();
    await client.request<EngineInfo>(methods.initialize, { protocolVersion, client: "quire-cli" });
    return client;
  }

  /** Sends a request; the signal cancels it at the engine. Throws QuireError. */
  async request<Result>(method: string, params: unknown, signal?: AbortSignal): Promise<Result> {
    // A token that is cancelled before the request is sent would never reach the engine.
    if (signal?.aborted) throw new QuireError("cancelled", "Stopped.");
    const source = new CancellationTokenSource();
    const cancel = (): void => source.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      const reply = this.#connection.sendRequest(
        new RequestType<unknown, Result, Failure>(method),
        params,
        source.token,
      );
      return await Promise.race([reply, this.#ended]);
    } catch (error) {
      throw toQuireError(error);
    } finally {
      signal?.removeEventListener("abort", cancel);
      source.dispose();
    }
  }

  /** Ends the engine: closing its input is enough; it is killed if it has not gone after two seconds. */
  async dispose(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 2000);
    await this.#ended.catch(() => {});
    clearTimeout(timer);
  }
}

function toQuireError(error: unknown): QuireError {
  if (error instanceof QuireError) return error;
  if (error instanceof ResponseError && isFailure(error.data)) {
    const { code, message, where, nextStep } = error.data;
    const known = code in nextSteps ? (code as ErrorCode) : "internal";
    return new QuireError(known, message, { nextStep, ...(where === undefined ? {} : { where }) });
  }
  return new QuireError("internal", error instanceof Error ? error.message : String(error));
}

function isFailure(data: unknown): data is Failure {
  return typeof data === "object" && data !== null && "code" in data && "nextStep" in data;
}
