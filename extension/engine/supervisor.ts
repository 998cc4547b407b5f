// supervisor.ts — keeps an engine for those who ask: reaches or starts it with the first request, again after a crash, and says in
// which state it is.
//
// A crash ends the running requests; the engine is reached again after a pause, three times in a row at most, and the user is told once.
// A request after that tries anew. An engine that does not heed a stop within some seconds is let go. An engine that other windows share
// stays when this one goes. Knows no editor.

import {
  type AskParams,
  type AskResult,
  type FetchEvent,
  type FollowResult,
  type MapParams,
  methods,
  type PlannedEvent,
  type StageEvent,
} from "../../engine/protocol.ts";
import type { EngineProgram } from "../../engine/share/link.ts";
import type { EngineState } from "../../media/messages.ts";
import type { Log } from "../services.ts";
import type { AskEvents } from "../talk/conversation.ts";
import { Connection } from "./connection.ts";
import { EngineFailure, stopped, toEngineFailure } from "./engine-failure.ts";
import { fetchingState, stateOf } from "./engine-state.ts";
import type { Disposable, EngineMemory } from "./service.ts";
import { stoppable } from "./stoppable.ts";

export interface SupervisorDeps {
  /** Asked at each start: settings may have changed. */
  program(): EngineProgram;
  /** Named in the handshake. */
  client: string;
  /** Minutes that a shared engine stays after its last client, asked at each start. */
  keepMinutes?(): number | undefined;
  log: Log;
  /** A crash, in a sentence; called once for a series of them. */
  crashed(message: string): void;
  /** Milliseconds before the next start, by the number of crashes in a row. */
  pauses?: readonly number[];
  /** Milliseconds that the engine has to heed a stop. */
  patience?: number;
}

const usualPauses = [250, 1_000, 4_000];
const usualPatience = 5_000;

export class Supervisor implements Disposable {
  #state: EngineState = { state: "stopped" };
  #memory: EngineMemory | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #deps: SupervisorDeps;
  readonly #pauses: readonly number[];
  #starting: Promise<Connection> | undefined;
  #connection: Connection | undefined;
  #crashes = 0;
  #timer: NodeJS.Timeout | undefined;
  #disposed = false;
  /** Requests in work, asks and others. */
  #requests = 0;
  /** Raised by a restart: a process that was starting meanwhile is not wanted any more. */
  #generation = 0;
  readonly #asks = new Map<string, AskEvents>();
  /** Requests whose stages are not shown. */
  readonly #unseen = new Set<string>();
  readonly #fetches = new Set<(event: FetchEvent) => void>();

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#pauses = deps.pauses ?? usualPauses;
  }

  get state(): EngineState {
    return this.#state;
  }

  /** What the running process holds or is about to read; undefined: nothing was planned since it began. */
  get memory(): EngineMemory | undefined {
    return this.#memory;
  }

  /** Of the running process, for the log and for tests. */
  get pid(): number | undefined {
    return this.#connection?.pid;
  }

  onDidChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  async ask(params: AskParams, events: AskEvents, signal: AbortSignal): Promise<AskResult> {
    this.#asks.set(params.id, events);
    if (this.#connection === undefined) events.progress({ stage: "starting" });
    try {
      const result = await this.request<AskResult>(methods.ask, params, signal);
      this.#crashes = 0;
      if (this.#memory !== undefined) this.#memory = { ...this.#memory, heldTokens: result.meter.memoryTokens };
      this.#tell();
      return result;
    } finally {
      this.#asks.delete(params.id);
    }
  }

  /** Sends a request to the engine, which is started if it is not there. */
  async request<Result>(
    method: string,
    params: unknown,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Result> {
    if (signal.aborted) throw stopped();
    this.#requests++;
    try {
      const connection = await stoppable(this.#connect(), signal);
      const reply = connection.request<Result>(method, params, signal).catch((error: unknown) => {
        this.#endAfterFault(connection, error);
        throw error;
      });
      return await stoppable(reply, signal, this.#deps.patience ?? usualPatience, () => {
        this.#deps.log.warn("The engine did not stop; it is ended.");
        this.#forget(connection);
      });
    } finally {
      this.#requests--;
      // What was done, for an answer or for a plan, is done for nobody now.
      if (this.#requests === 0 && this.#connection !== undefined) this.#setState({ state: "ready" });
    }
  }

  /** As `request`, for work that nobody asked for and nobody sees: only where memory is held and nothing is in work, else undefined. */
  async follow(params: MapParams): Promise<FollowResult | undefined> {
    if (this.#state.state !== "ready" || this.#memory?.heldTokens === undefined) return undefined;
    this.#unseen.add(params.id);
    try {
      return await this.request<FollowResult>(methods.follow, params);
    } finally {
      this.#unseen.delete(params.id);
    }
  }

  /** Hears of models being fetched until disposed. */
  onFetching(listener: (event: FetchEvent) => void): Disposable {
    this.#fetches.add(listener);
    return { dispose: () => void this.#fetches.delete(listener) };
  }

  /** Ends the engine, for other windows too; the next request starts it anew. */
  async stopEngine(): Promise<void> {
    const connection = this.#connection;
    if (connection?.shared === true) await connection.request(methods.stop, {}).catch(() => {});
    await this.restart();
  }

  /** Leaves the engine, which ends unless others share it; the next request reaches or starts one. */
  async restart(): Promise<void> {
    clearTimeout(this.#timer);
    this.#crashes = 0;
    this.#generation++;
    const connection = this.#connection;
    this.#connection = undefined;
    this.#starting = undefined;
    connection?.leave(this.#goodbye());
    this.#setState({ state: "stopped" });
    await connection?.ended;
  }

  dispose(): void {
    this.#disposed = true;
    void this.restart();
    this.#listeners.clear();
  }

  #connect(): Promise<Connection> {
    if (this.#disposed) return Promise.reject(new EngineFailure("disposed", "Quire is shutting down.", ""));
    if (this.#starting !== undefined) return this.#starting;
    clearTimeout(this.#timer);
    this.#setState({ state: "starting" });
    const starting = this.#start();
    this.#starting = starting;
    starting.catch((error: unknown) => {
      if (this.#starting !== starting) return;
      this.#starting = undefined;
      const { message } = toEngineFailure(error);
      this.#deps.log.error(message);
      this.#setState({ state: "failed", message });
    });
    return starting;
  }

  async #start(): Promise<Connection> {
    const { log, client } = this.#deps;
    const generation = this.#generation;
    const program = this.#deps.program();
    log.info(`Starting the engine: ${program.command} ${program.args.join(" ")}`);
    const keepMinutes = this.#deps.keepMinutes?.();
    const greeting = { client, ...(keepMinutes === undefined ? {} : { keepMinutes }) };
    const connection = await Connection.start(program, greeting, {
      stage: (event) => this.#stage(event),
      text: ({ id, text }) => this.#asks.get(id)?.text(text),
      planned: (event) => this.#planned(event),
      fetching: (event) => this.#fetching(event),
      notice: ({ message }) => {
        log.info(message);
        for (const events of this.#asks.values()) events.notice(message);
      },
      log: ({ level, message }) => log[level](message),
      printed: (line) => log.warn(line),
      reaching: (line) => log.info(line),
    });
    if (generation !== this.#generation) {
      connection.leave(this.#goodbye());
      throw new EngineFailure("disposed", this.#goodbye(), "Ask again.");
    }
    this.#connection = connection;
    this.#memory = undefined;
    void connection.ended.then((how) => this.#ended(connection, how));
    log.info(`The engine is ready (process ${connection.pid}${connection.shared ? ", shared" : ""}).`);
    this.#setState({ state: "ready" });
    return connection;
  }

  #goodbye(): string {
    return this.#disposed ? "Quire is shutting down." : "The engine was restarted.";
  }

  /** Lets go of an engine that hangs; that is no crash. The next request reaches or starts one. */
  #forget(connection: Connection): void {
    if (this.#connection === connection) {
      this.#connection = undefined;
      this.#starting = undefined;
      this.#setState({ state: "stopped" });
    }
    void connection.giveUp();
  }

  /** A GPU that failed takes nothing more from its process: that is a crash, though the process still speaks. */
  #endAfterFault(connection: Connection, error: unknown): void {
    const { code, message } = toEngineFailure(error);
    if (code !== "device-fault") return;
    this.#ended(connection, message);
    connection.cut();
  }

  #ended(connection: Connection, how: string): void {
    if (this.#connection !== connection) return; // it was told to go
    this.#connection = undefined;
    this.#starting = undefined;
    if (connection.wasTold) {
      this.#deps.log.info(how);
      this.#setState({ state: "stopped" });
      return;
    }
    this.#deps.log.error(how);
    const pause = this.#pauses[this.#crashes];
    this.#crashes++;
    if (pause === undefined) {
      this.#setState({ state: "failed", message: how });
      return;
    }
    if (this.#crashes === 1) this.#deps.crashed(how);
    this.#setState({ state: "stopped" });
    this.#timer = setTimeout(() => void this.#connect().catch(() => {}), pause);
  }

  #stage(event: StageEvent): void {
    const { id, ...progress } = event;
    if (this.#unseen.has(id)) return;
    this.#asks.get(id)?.progress(progress);
    // One that waits says nothing of what the engine does.
    if (event.stage !== "waiting") this.#setState(stateOf(event));
  }

  #planned({ id, ...plan }: PlannedEvent): void {
    const { model, budgetReason, usedTokens } = plan;
    this.#memory = { model, budgetReason, plannedTokens: usedTokens };
    this.#asks.get(id)?.planned(plan);
  }

  #fetching(event: FetchEvent): void {
    for (const listener of this.#fetches) listener(event);
    const { name, bytesDone, bytesTotal, bytesPerSecond, secondsLeft } = event;
    this.#setState(fetchingState(event));
    for (const events of this.#asks.values()) {
      events.progress({
        stage: "fetching",
        model: name,
        done: bytesDone,
        total: bytesTotal,
        bytesPerSecond,
        secondsLeft,
      });
    }
  }

  #setState(state: EngineState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
