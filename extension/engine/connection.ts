// connection.ts — the JSON-RPC to one engine, shared or of this window alone, from its greeting to its end.
//
// In: the program that the engine is, and who listens to its events. Out: requests with cancellation; its end, with the last lines of what
// it printed. Starts nothing again (that is supervisor.ts's) and knows no editor.

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
  type LeavingEvent,
  type LogEvent,
  methods,
  type NoticeEvent,
  type PlannedEvent,
  protocolVersion,
  type StageEvent,
  type TextEvent,
} from "../../engine/protocol.ts";
import { type EngineLink, type EngineProgram, startChild } from "../../engine/share/link.ts";
import { reachShared } from "../../engine/share/reach.ts";
import { EngineFailure, stopped, toEngineFailure } from "./engine-failure.ts";

export interface EngineEvents {
  stage(event: StageEvent): void;
  text(event: TextEvent): void;
  planned(event: PlannedEvent): void;
  fetching(event: FetchEvent): void;
  notice(event: NoticeEvent): void;
  log(event: LogEvent): void;
  /** A line that an engine of this window alone printed to standard error. */
  printed(line: string): void;
  /** What is done to reach an engine. */
  reaching(line: string): void;
}

export interface Greeting {
  /** Names this client. */
  client: string;
  /** Minutes that a shared engine stays after its last client. */
  keepMinutes?: number;
}

/** A shared engine may leave in the moment in which a client greets it. */
const greetings = 3;
/** Milliseconds for a shared engine to say that it is alive. */
const aliveMs = 1_000;

export class Connection {
  /** Resolves with a sentence when the engine has ended, or left this client. */
  readonly ended: Promise<string>;
  readonly shared: boolean;
  /** Of the engine's process. */
  pid: number | undefined;
  readonly #link: EngineLink;
  readonly #rpc: MessageConnection;
  /** Why it is at its end, where that was meant; absent: it was not. */
  #told: string | undefined;

  private constructor(link: EngineLink, rpc: MessageConnection) {
    this.#link = link;
    this.#rpc = rpc;
    this.pid = link.pid;
    this.shared = link.shared;
    this.ended = link.ended;
    rpc.onNotification(new NotificationType<LeavingEvent>(methods.leaving), ({ message }) => {
      this.#told ??= message;
    });
    // Later, so that who waits for a reply hears of the end, not of the connection's.
    void this.ended.then(() => setImmediate(() => rpc.dispose()));
  }

  /** The end was meant, by this client or another one: no crash. */
  get wasTold(): boolean {
    return this.#told !== undefined;
  }

  /**
   * Reaches the engine that this user's windows share, or starts one of its own where the program's environment says QUIRE_SHARE=off or
   * engines cannot be shared; agrees on the protocol's version. Rejects with an EngineFailure.
   */
  static async start(program: EngineProgram, greeting: Greeting, events: EngineEvents): Promise<Connection> {
    for (let greeted = 1; ; greeted++) {
      const link = await reach(program, events);
      const connection = Connection.#listen(link, events);
      try {
        const info = await connection.request<EngineInfo>(methods.initialize, { protocolVersion, ...greeting });
        if (info.protocolVersion !== protocolVersion) throw otherVersion(`it speaks version ${info.protocolVersion}.`);
        connection.pid = info.pid ?? link.pid;
        return connection;
      } catch (error) {
        connection.cut();
        const failure = toEngineFailure(error);
        if (link.shared && failure.code === "engine-ended" && greeted < greetings) continue;
        // The one thing that an engine refuses in a greeting.
        throw failure.code === "bad-option" ? otherVersion(failure.message) : failure;
      }
    }
  }

  static #listen(link: EngineLink, events: EngineEvents): Connection {
    const rpc = createMessageConnection(new StreamMessageReader(link.input), new StreamMessageWriter(link.output));
    rpc.onError(() => {}); // a broken stream ends the link; `ended` tells
    const listen = <Event>(method: string, handler: (event: Event) => void): void =>
      void rpc.onNotification(new NotificationType<Event>(method), handler);
    listen(methods.stage, events.stage);
    listen(methods.text, events.text);
    listen(methods.planned, events.planned);
    listen(methods.fetching, events.fetching);
    listen(methods.notice, events.notice);
    listen(methods.log, events.log);
    rpc.listen();
    return new Connection(link, rpc);
  }

  /** Sends a request; the signal cancels it at the engine. Rejects with an EngineFailure, also when the engine ends. */
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
      this.cut();
      throw new EngineFailure("engine-ended", await this.ended, "Ask again; the engine starts anew.");
    } finally {
      signal?.removeEventListener("abort", cancel);
      source.dispose();
    }
  }

  /** Ends the link at once; an engine of this client alone ends with it. */
  cut(): void {
    this.#link.cut();
  }

  /** Lets go of an engine that did not heed a stop. One that others use is ended only if it says nothing at all. */
  async giveUp(): Promise<void> {
    const alive = this.shared && (await this.#isAlive());
    this.cut();
    if (!this.shared || alive || this.pid === undefined) return;
    try {
      process.kill(this.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }

  /** Leaves the engine in order; what runs fails with `why`. */
  leave(why: string): void {
    this.#told ??= why;
    this.#link.leave();
  }

  async #isAlive(): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), aliveMs);
    });
    const said = this.request(methods.status, {}).then(
      () => true,
      ({ code }: EngineFailure) => code !== "engine-ended",
    );
    return Promise.race([said, late]).finally(() => clearTimeout(timer));
  }
}

async function reach(program: EngineProgram, events: EngineEvents): Promise<EngineLink> {
  try {
    const shared = program.env.QUIRE_SHARE === "off" ? undefined : await reachShared(program, events.reaching);
    return shared ?? startChild(program, events.printed);
  } catch (error) {
    const how = error instanceof Error ? error.message : String(error);
    throw new EngineFailure("engine-ended", how, "Ask again; the engine starts anew.");
  }
}

function otherVersion(how: string): EngineFailure {
  const message = `The engine is not of this extension's version: ${how}`;
  return new EngineFailure("engine-version", message, "Reload the window; if it stays so, install Quire again.");
}
