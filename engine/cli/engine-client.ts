// engine-client.ts — reaches the user's shared engine, or starts one, and speaks its protocol; one more client like the extension.
//
// With QUIRE_SHARE=off, and where engines cannot be shared, the engine is a child of this client, with its own standard input and output;
// its standard error is passed on.

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
  type LeavingEvent,
  methods,
  type NoticeEvent,
  type PlannedEvent,
  protocolVersion,
  type StageEvent,
  type TextEvent,
} from "../protocol.ts";
import { type EngineLink, type EngineProgram, startChild } from "../share/link.ts";
import { reachShared } from "../share/reach.ts";
import { mostKeepMinutes, usualKeepMinutes } from "../share/stay.ts";

export interface EngineEvents {
  planned: (event: PlannedEvent) => void;
  stage: (event: StageEvent) => void;
  text: (event: TextEvent) => void;
  fetching: (event: FetchEvent) => void;
  notice: (event: NoticeEvent) => void;
}

/** What starts the engine: the bundle beside the CLI's. QUIRE_ENGINE names another program of Node. */
export function engineProgram(): EngineProgram {
  const file = path.resolve(process.env.QUIRE_ENGINE ?? path.join(here, "engine.cjs"));
  return { command: process.execPath, args: [file], env: { ...process.env, ELECTRON_RUN_AS_NODE: "1" } };
}

/** An engine may leave in the moment in which a client greets it. */
const greetings = 3;

/** Names this client to others: `quire doctor` shows it. */
export const clientName = (): string => `a terminal (process ${process.pid})`;

export class EngineClient {
  readonly #link: EngineLink;
  readonly #connection: MessageConnection;
  /** Rejects when the engine ends; never resolves. */
  readonly #ended: Promise<never>;
  #told: string | undefined;

  private constructor(link: EngineLink, connection: MessageConnection) {
    this.#link = link;
    this.#connection = connection;
    connection.onNotification(new NotificationType<LeavingEvent>(methods.leaving), ({ message }) => {
      this.#told ??= message;
    });
    this.#ended = link.ended.then((how) => {
      if (this.#told !== undefined) throw new QuireError("disposed", this.#told, { nextStep: "Ask again." });
      // Linux ends a process like this when memory runs out.
      const hint = { nextStep: "If memory ran out, lower the token budget or choose a smaller model; ask again." };
      throw new QuireError("internal", how, link.shared || how.includes("SIGKILL") ? hint : {});
    });
    this.#ended.catch(() => connection.dispose());
  }

  /**
   * Reaches or starts the engine and agrees on the protocol's version.
   * @param alone an engine for this client alone, which ends with it
   */
  static async start(events: Partial<EngineEvents>, alone = process.env.QUIRE_SHARE === "off"): Promise<EngineClient> {
    const program = engineProgram();
    for (let greeted = 1; ; greeted++) {
      const shared = alone ? undefined : await reachShared(program, () => {}).catch(asFailure);
      const link = shared ?? startChild(program);
      const client = EngineClient.on(link, events);
      try {
        const keep = Number(process.env.QUIRE_KEEP_MINUTES || Number.NaN);
        const keepMinutes = keep >= 0 && keep <= mostKeepMinutes ? keep : usualKeepMinutes;
        const greeting = { protocolVersion, client: clientName(), keepMinutes };
        await client.request<EngineInfo>(methods.initialize, greeting);
        return client;
      } catch (error) {
        link.cut();
        if (!link.shared || greeted >= greetings) throw error;
      }
    }
  }

  /** Speaks over a link; nothing is said yet. */
  static on(link: EngineLink, events: Partial<EngineEvents>): EngineClient {
    const connection = createMessageConnection(
      new StreamMessageReader(link.input),
      new StreamMessageWriter(link.output),
    );
    connection.onError(() => {}); // a broken stream ends the link; #ended tells
    const client = new EngineClient(link, connection);
    const listen = <Event>(method: string, handler: ((event: Event) => void) | undefined): void => {
      if (handler !== undefined) connection.onNotification(new NotificationType<Event>(method), handler);
    };
    listen(methods.planned, events.planned);
    listen(methods.stage, events.stage);
    listen(methods.text, events.text);
    listen(methods.fetching, events.fetching);
    listen(methods.notice, events.notice);
    connection.listen();
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

  /** Leaves: an engine of this client alone ends, a shared one stays. */
  async dispose(): Promise<void> {
    this.#link.leave();
    await this.#ended.catch(() => {});
  }
}

/** A shared engine that does not start. */
function asFailure(error: unknown): never {
  throw new QuireError("internal", error instanceof Error ? error.message : String(error));
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
