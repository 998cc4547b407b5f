// engine-process.ts — the built engine as a child process or shared, spoken to in JSON-RPC as an editor does, with every event that came.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
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
  type AskParams,
  type AskResult,
  type EngineInfo,
  type EngineStatus,
  type Failure,
  methods,
  protocolVersion,
  type Turn,
} from "../../engine/protocol.ts";
import type { EngineLink } from "../../engine/share/link.ts";
import { reachShared } from "../../engine/share/reach.ts";
import { smallModel } from "./cli/quire.ts";

export const engineFile = process.env.QUIRE_ENGINE ?? path.join(import.meta.dirname, "..", "..", "dist", "engine.cjs");

export interface SeenEvent {
  method: string;
  params: Record<string, unknown>;
}

/** An ask that can be stopped. */
export interface Asking {
  result: Promise<AskResult>;
  stop: () => void;
}

/** One client's end of a connection to an engine. */
class Talk {
  readonly events: SeenEvent[] = [];
  readonly #connection: MessageConnection;
  readonly #watchers = new Set<() => void>();

  constructor(input: Readable, output: Writable) {
    const connection = createMessageConnection(new StreamMessageReader(input), new StreamMessageWriter(output));
    this.#connection = connection;
    connection.onError(() => {});
    for (const method of ["stage", "text", "notice", "planned", "log", "fetching", "leaving"]) {
      connection.onNotification(new NotificationType<Record<string, unknown>>(method), (params) => {
        this.events.push({ method, params });
        for (const watch of this.#watchers) watch();
      });
    }
    connection.listen();
  }

  request<Result>(method: string, params: unknown): Promise<Result> {
    return this.#connection.sendRequest(new RequestType<unknown, Result, Failure>(method), params);
  }

  ask(params: AskParams): Asking {
    const source = new CancellationTokenSource();
    const type = new RequestType<unknown, AskResult, Failure>(methods.ask);
    return { result: this.#connection.sendRequest(type, params, source.token), stop: () => source.cancel() };
  }

  /** Resolves with the first event, seen or to come, that fits. */
  seen(fits: (event: SeenEvent) => boolean): Promise<SeenEvent> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.events.find(fits);
        if (found === undefined) return;
        this.#watchers.delete(look);
        resolve(found);
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** The stages of one ask, in order, each once. */
  stages(id: string): string[] {
    const stages = this.events.flatMap(({ method, params }) =>
      method === "stage" && params.id === id ? [String(params.stage)] : [],
    );
    return stages.filter((stage, index) => stage !== stages[index - 1]);
  }

  protected hangUp(): void {
    this.#connection.dispose();
  }
}

export class EngineProcess extends Talk {
  readonly child: ChildProcess;

  private constructor(child: ChildProcess, input: Readable, output: Writable) {
    super(input, output);
    this.child = child;
  }

  static async start(home: string, env: Readonly<Record<string, string>> = {}): Promise<EngineProcess> {
    const child = spawn(process.execPath, [engineFile], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...process.env, NODE_OPTIONS: "", QUIRE_HOME: home, ...env },
    });
    child.stdin.on("error", () => {});
    const engine = new EngineProcess(child, child.stdout, child.stdin);
    await engine.request(methods.initialize, { protocolVersion, client: "test" });
    return engine;
  }

  async dispose(): Promise<void> {
    this.hangUp();
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await ended;
  }
}

/** A client of the engine that is shared in a home. */
export class SharedClient extends Talk {
  readonly link: EngineLink;
  /** What was said on the way to the engine. */
  readonly lines: readonly string[];
  info: EngineInfo = { protocolVersion: 0, engineVersion: "", pid: 0 };

  private constructor(link: EngineLink, lines: readonly string[]) {
    super(link.input, link.output);
    this.link = link;
    this.lines = lines;
  }

  static async reach(home: string, env: Readonly<Record<string, string>> = {}, keepMinutes = 5): Promise<SharedClient> {
    const lines: string[] = [];
    const all = { ...process.env, NODE_OPTIONS: "", QUIRE_HOME: home, ...env };
    for (;;) {
      const program = { command: process.execPath, args: [engineFile], env: all };
      const link = await reachShared(program, (line) => lines.push(line));
      assert.ok(link !== undefined, lines.join(" "));
      const client = new SharedClient(link, lines);
      const greeting = client.request<EngineInfo>(methods.initialize, { protocolVersion, client: "test", keepMinutes });
      // A process that is being killed is still connected to; as the product's clients do, it is tried again.
      const info = await Promise.race([greeting.catch(() => undefined), link.ended.then(() => undefined)]);
      if (info === undefined) client.hangUp();
      if (info !== undefined) return Object.assign(client, { info });
    }
  }

  status(): Promise<EngineStatus> {
    return this.request(methods.status, {});
  }

  async leave(): Promise<void> {
    this.link.leave();
    await this.link.ended;
    this.hangUp();
  }
}

/** Parameters of an ask with the small model; `change` replaces what it names. */
export function askOf(root: string, question: string, change: Partial<AskParams> = {}): AskParams {
  return {
    id: "1",
    workspace: { folders: [{ name: "w", root }], include: [], exclude: [], trusted: true, unsaved: [] },
    settings: {
      model: smallModel,
      tokenBudget: 2048,
      selection: { pageBudget: "dense", summary: "mean-spread", vote: "softmax", denseLayers: 0 },
      exact: false,
      threads: 0,
      cpu: "auto",
    },
    question,
    thread: { id: "t", turns: [] },
    fresh: false,
    maxTokens: 24,
    sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, seed: 0 },
    ...change,
  };
}

/** An answered question as the next one of its thread tells it. */
export function turnOf(params: AskParams, result: AskResult): Turn {
  const { question, selection } = params;
  return { question, ...(selection === undefined ? {} : { selection }), answer: result.answer };
}

/** The failure that an ask was refused with. */
export async function failureOf(asking: Asking): Promise<Failure> {
  try {
    await asking.result;
  } catch (error) {
    assert.ok(error instanceof ResponseError, String(error));
    return error.data as Failure;
  }
  assert.fail("it was answered");
}
