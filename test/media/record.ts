// record.ts — what the host sends to the panel while a real engine answers real questions, written down with its times.
//
// In: a folder, settings, and what the user does. Out: messages of media/messages.ts as the extension's own parts made them: the
// supervisor, the conversation and the controller are the real ones; only the editor is absent. Nothing is stubbed.

import { randomUUID } from "node:crypto";
import path from "node:path";
import type { AskParams, EngineSettings } from "../../engine/protocol.ts";
import { Supervisor } from "../../extension/engine/supervisor.ts";
import { PanelController } from "../../extension/panel/panel-controller.ts";
import { type AskPort, Conversation } from "../../extension/talk/conversation.ts";
import type { PanelState, ToPanel } from "../../media/messages.ts";

/** Messages with the milliseconds at which they came, from the panel's opening on. */
export type Recording = { at: number; message: ToPanel }[];

export interface Session {
  conversation: Conversation;
  /** Resolves when nothing is in work. */
  idle(): Promise<void>;
  /** Resolves when `seen` is true of the state. */
  until(seen: (state: PanelState) => boolean): Promise<void>;
}

export interface RecordOptions {
  folder: string;
  settings: Partial<EngineSettings>;
  maxTokens: number;
  env?: NodeJS.ProcessEnv;
}

const usual: EngineSettings = {
  model: "smollm2-135m",
  tokenBudget: "auto",
  selection: { pageBudget: 1024, summary: "mean-spread", vote: "softmax", denseLayers: 0 },
  exact: false,
  threads: 0,
  cpu: "auto",
};
const sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, seed: 1 };
/** A recording is for eyes and tests: four pictures a second are enough. */
const every = 250;

/** Runs a session against a real engine and returns what a panel would have got. */
export async function record(options: RecordOptions, act: (session: Session) => Promise<void>): Promise<Recording> {
  const engine = path.join(import.meta.dirname, "..", "..", "dist", "engine.cjs");
  const log = { debug: () => {}, info: () => {}, warn: console.warn, error: console.error };
  const supervisor = new Supervisor({
    program: () => ({ command: process.execPath, args: [engine], env: { ...process.env, ...options.env } }),
    client: "quire-record",
    log,
    crashed: console.error,
  });
  const ask: AskPort = (question, events, signal) => supervisor.ask(paramsOf(question, options), events, signal);
  let ids = 0;
  const conversation = new Conversation({ ask, newId: () => `t${++ids}`, now: () => Date.now() });
  const asked: string[] = [];
  const state = (): PanelState => ({
    thread: { id: conversation.id, turns: conversation.turns },
    engine: supervisor.state,
    ...(conversation.reading === undefined ? {} : { reading: conversation.reading }),
    ...(conversation.meter === undefined ? {} : { meter: conversation.meter }),
    history: asked,
  });
  const engineChanges = (changed: () => void) => supervisor.onDidChangeState(changed);
  const controller = new PanelController({
    source: {
      state,
      onDidChange: (listener) => {
        const one = conversation.onDidChange(listener);
        const other = engineChanges(() => listener({ kind: "turns" }));
        return { dispose: () => [one, other].forEach((each) => void each.dispose()) };
      },
    },
    act: () => {},
    warn: console.warn,
    every,
  });
  const recording: Recording = [];
  const began = performance.now();
  const guest = controller.attach({
    post: (message) => recording.push({ at: Math.round(performance.now() - began), message: structuredClone(message) }),
  });
  guest.receive({ type: "ready" });
  const until = (seen: (now: PanelState) => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!seen(state())) return;
        listening.dispose();
        resolve();
      };
      const listening = conversation.onDidChange(look);
      look();
    });
  const watching = conversation.onDidChange(() => {
    for (const { question } of conversation.turns) if (!asked.includes(question)) asked.unshift(question);
  });
  try {
    await act({ conversation, until, idle: () => until(() => !conversation.working) });
    // What waits for its interval is sent.
    await new Promise((resolve) => setTimeout(resolve, 2 * every));
  } finally {
    watching.dispose();
    guest.dispose();
    controller.dispose();
    supervisor.dispose();
  }
  return recording;
}

function paramsOf(question: Parameters<AskPort>[0], { folder, settings, maxTokens }: RecordOptions): AskParams {
  return {
    id: randomUUID(),
    workspace: {
      folders: [{ name: path.basename(folder), root: folder }],
      include: [],
      exclude: [],
      trusted: true,
      unsaved: [],
    },
    settings: { ...usual, ...settings },
    fresh: false,
    maxTokens,
    sampling,
    ...question,
  };
}
