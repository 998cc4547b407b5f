// connection.ts — one engine process and the JSON-RPC to it, from its start to its end.
//
// In: the program to start, and who listens to its events. Out: requests with cancellation; its end, with the last lines of what it
// printed. Starts nothing again (that is supervisor.ts's) and knows no editor.

import { type ChildProcess, spawn } from "node:child_process";
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
import {
  type EngineInfo,
  type Failure,
  type FetchEvent,
  type LogEvent,
  methods,
  type NoticeEvent,
  type PlannedEvent,
  protocolVersion,
  type StageEvent,
  type TextEvent,
} from "../../engine/protocol.ts";
import { EngineFailure, stopped, toEngineFailure } from "./engine-failure.ts";

export interface EngineProgram {
  command: string;
  args: string[];
  env: NodeJS.ProcessEnv;
}

export interface EngineEvents {
  stage(event: StageEvent): void;
  text(event: TextEvent): void;
  planned(event: PlannedEvent): void;
  fetching(event: FetchEvent): void;
  notice(event: NoticeEvent): void;
  log(event: LogEvent): void;
  /** A line that the process printed to standard error. */
  printed(line: string): void;
}

const keptLines = 20;
/** Milliseconds that a process has to go by itself. */
const patience = 2_000;

export class Connection {
  /** Resolves with a sentence when the process has ended. */
  readonly ended: Promise<string>;
  readonly pid: number | undefined;
  readonly #child: ChildProcess;
  readonly #rpc: MessageConnection;
  /** Why it was told to go; absent: it was not. */
  #told: string | undefined;

  private constructor(child: ChildProcess, rpc: MessageConnection, lines: readonly string[]) {
    this.#child = child;
    this.#rpc = rpc;
    this.pid = child.pid;
    this.ended = new Promise((resolve) => {
      child.once("error", (cause) => resolve(`The engine does not start: ${cause.message}.`));
      // "close", not "exit": standard error has been read to its end then.
      child.once("close", (status, signal) => {
        // Node ends what it says of an error with its own version.
        const last = lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.findLast((line) => line.trim() !== "");
        const how = signal === null ? `status ${status}` : signal;
        resolve(`The engine ended unexpectedly (${how})${last === undefined ? "" : `: ${last.trim()}`}.`);
      });
    });
    // Later, so that who waits for a reply hears of the end, not of the connection's.
    void this.ended.then(() => setImmediate(() => rpc.dispose()));
  }

  /** Starts the program and agrees on the protocol's version. Rejects with an EngineFailure. */
  static async start(program: EngineProgram, client: string, events: EngineEvents): Promise<Connection> {
    const child = spawn(program.command, program.args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: program.env,
      windowsHide: true,
    });
    child.stdin.on("error", () => {}); // a write after the process's end; `ended` tells
    const lines: string[] = [];
    let rest = "";
    child.stderr.setEncoding("utf8").on("data", (piece: string) => {
      const parts = (rest + piece).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) events.printed(line);
      lines.push(...parts);
      lines.splice(0, lines.length - keptLines);
    });
    child.stderr.on("end", () => {
      if (rest === "") return;
      events.printed(rest);
      lines.push(rest);
    });
    const rpc = createMessageConnection(new StreamMessageReader(child.stdout), new StreamMessageWriter(child.stdin));
    rpc.onError(() => {}); // a broken stream ends the process; `ended` tells
    const listen = <Event>(method: string, handler: (event: Event) => void): void =>
      void rpc.onNotification(new NotificationType<Event>(method), handler);
    listen(methods.stage, events.stage);
    listen(methods.text, events.text);
    listen(methods.planned, events.planned);
    listen(methods.fetching, events.fetching);
    listen(methods.notice, events.notice);
    listen(methods.log, events.log);
    rpc.listen();
    const connection = new Connection(child, rpc, lines);
    try {
      const info = await connection.request<EngineInfo>(methods.initialize, { protocolVersion, client });
      if (info.protocolVersion !== protocolVersion) throw otherVersion(`it speaks version ${info.protocolVersion}.`);
    } catch (error) {
      connection.kill();
      const failure = toEngineFailure(error);
      // The one thing that an engine refuses in a greeting.
      throw failure.code === "bad-option" ? otherVersion(failure.message) : failure;
    }
    return connection;
  }

  /** Sends a request; the signal cancels it at the engine. Rejects with an EngineFailure, also when the process ends. */
  async request<Result>(method: string, params: unknown, signal?: AbortSignal): Promise<Result> {
    // A token that is cancelled before the request is sent would never reach the engine.
    if (signal?.aborted) throw stopped();
    const source = new CancellationTokenSource();
    const cancel = (): void => source.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      const reply = this.#rpc.sendRequest(new RequestType<unknown, Result, Failure>(method), params, source.token);
      reply.catch(() => {}); // after the end, nobody waits for it
      const end = this.ended.then((how): never => {
        if (this.#told !== undefined) throw new EngineFailure("disposed", this.#told, "Ask again.");
        throw new EngineFailure("engine-ended", how, "Ask again; the engine starts anew.");
      });
      return await Promise.race([reply, end]);
    } catch (error) {
      if (error instanceof ResponseError || error instanceof EngineFailure) throw toEngineFailure(error);
      // Nothing that the engine said: it cannot be written to (EPIPE), since it is at its end, or is of no use any more.
      this.kill();
      throw new EngineFailure("engine-ended", await this.ended, "Ask again; the engine starts anew.");
    } finally {
      signal?.removeEventListener("abort", cancel);
      source.dispose();
    }
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Ends the process: closing its input is enough; it is killed where that does not help. What runs fails with `why`. */
  dispose(why: string): void {
    this.#told ??= why;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.kill(), patience);
    void this.ended.then(() => clearTimeout(timer));
  }
}

function otherVersion(how: string): EngineFailure {
  const message = `The engine is not of this extension's version: ${how}`;
  return new EngineFailure("engine-version", message, "Reload the window; if it stays so, install Quire again.");
}
