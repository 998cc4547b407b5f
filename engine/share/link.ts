// link.ts — what a client holds of its engine: two streams, and how it ends. Here the kind that is a child of the client's own.
//
// The other kind is in reach.ts: an engine that is shared. Knows no messages.

import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

export interface EngineProgram {
  command: string;
  args: string[];
  env: NodeJS.ProcessEnv;
}

export interface EngineLink {
  input: Readable;
  output: Writable;
  /** Others use it too: it stays when this client goes. */
  shared: boolean;
  /** Of the engine, where it is known before it is greeted. */
  pid: number | undefined;
  /** Resolves with a sentence when the engine, or the way to it, has ended. */
  ended: Promise<string>;
  /** Goes away in order. One's own engine ends with it, by force where need be. */
  leave(): void;
  /** Cuts the link at once; ends one's own engine. */
  cut(): void;
}

const keptLines = 20;
/** Milliseconds that a child has to go by itself: what it read may still be on its way to the disk. */
const patience = 10_000;

/** Starts an engine for this client alone. `printed` hears each line of its standard error; absent: it is passed on. */
export function startChild({ command, args, env }: EngineProgram, printed?: (line: string) => void): EngineLink {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", printed === undefined ? "inherit" : "pipe"],
    env,
    windowsHide: true,
    // Ctrl-C in a terminal reaches the whole group: the client cancels, the child stops in order.
    detached: printed === undefined && process.platform !== "win32",
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("the engine's streams are missing");
  stdin.on("error", () => {}); // a write after the end; `ended` tells
  const lines = printed === undefined ? [] : keepLines(child, printed);
  const ended = new Promise<string>((resolve) => {
    child.once("error", (cause) => resolve(`The engine does not start: ${cause.message}.`));
    // "close", not "exit": standard error has been read to its end then.
    child.once("close", (status, signal) => resolve(endSentence(status, signal, lines)));
  });
  const cut = (): void => void child.kill("SIGKILL");
  const leave = (): void => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    stdin.end(); // enough, in order
    const timer = setTimeout(cut, patience);
    void ended.then(() => clearTimeout(timer));
  };
  return { input: stdout, output: stdin, shared: false, pid: child.pid, ended, leave, cut };
}

/** How an engine ended, with its last words. */
export function endSentence(
  status: number | null | undefined,
  signal: string | null | undefined,
  lines: readonly string[],
): string {
  // Node ends what it says of an error with its own version.
  const last = lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.findLast((line) => line.trim() !== "");
  const how = signal ? ` (${signal})` : status === null || status === undefined ? "" : ` (status ${status})`;
  return `The engine ended unexpectedly${how}${last === undefined ? "" : `: ${last.trim()}`}.`;
}

function keepLines({ stderr }: ChildProcess, printed: (line: string) => void): string[] {
  const lines: string[] = [];
  let rest = "";
  stderr?.setEncoding("utf8").on("data", (piece: string) => {
    const parts = (rest + piece).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) printed(line);
    lines.push(...parts);
    lines.splice(0, lines.length - keptLines);
  });
  stderr?.on("end", () => {
    if (rest === "") return;
    printed(rest);
    lines.push(rest);
  });
  return lines;
}
