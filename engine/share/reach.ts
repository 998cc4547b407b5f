// reach.ts — the engine that a user's clients share: connected to where one runs, else started.
//
// In: the program that it would be. Out: a link to it, or undefined where there can be none (no sockets, a folder that others may enter),
// with the reason said: the client starts an engine of its own then. The engine is nobody's child: it stays when its starter ends.

import { spawn } from "node:child_process";
import { closeSync, openSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, absoluteEnv, addressOf, keysIn, logOf, runFolder } from "./address.ts";
import { connectTo } from "./connect.ts";
import { type EngineLink, type EngineProgram, endSentence } from "./link.ts";

/** What a starting engine says to its starter: it listens; another one does; there can be no socket. */
export type StartWord = { started: true } | { started: false; why: "taken" } | { started: false; why: string };

/** First line of an engine's life in its log. */
export const beginsWith = "engine begins";

/** Milliseconds for a start: a machine under load, and Node from a cold disk. */
const patience = 30_000;
/** An engine may leave in the moment in which one comes. */
const rounds = 5;
const largestLog = 1_000_000;
const shownLog = 8_192;

type Started = "up" | { cannotShare: string } | { ended: string };

/**
 * A link to the shared engine. Throws an Error with a sentence where it does not start; undefined where engines cannot be shared.
 * @param log a line about what is done
 */
export async function reachShared(
  program: EngineProgram,
  log: (line: string) => void,
): Promise<EngineLink | undefined> {
  try {
    const [file = ""] = program.args;
    const address = await addressOf(file, program.env);
    for (let round = 0; round < rounds; round++) {
      const socket = await connectTo(address);
      if (socket !== undefined) return linkOf(socket, address);
      if (round === 0) await sayOthers(address, log);
      const started = await start(program, address);
      if (started !== "up" && "ended" in started) throw new StartFailure(started.ended);
      if (started !== "up") {
        log(`Engines cannot be shared here (${started.cannotShare}): this client has one of its own.`);
        return undefined;
      }
    }
    log("The shared engine leaves as soon as it starts: this client has one of its own.");
  } catch (error) {
    if (error instanceof StartFailure) throw error;
    const why = (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
    log(`Engines cannot be shared here (${why}): this client has one of its own.`);
  }
  return undefined;
}

/** Links to all shared engines of this user that run now, whatever their version. Starts none. */
export async function reachRunning(env: EngineProgram["env"]): Promise<EngineLink[]> {
  const folder = await runFolder(env);
  const links: EngineLink[] = [];
  for (const key of await keysIn(folder)) {
    const address = { folder, key };
    const socket = await connectTo(address);
    if (socket !== undefined) links.push(linkOf(socket, address));
  }
  return links;
}

class StartFailure extends Error {}

function linkOf(socket: Socket, address: Address): EngineLink {
  const ended = new Promise<string>((resolve) => {
    socket.once("close", () => void lastWords(address).then((lines) => resolve(endSentence(null, null, lines))));
  });
  const cut = (): void => void socket.destroy();
  return { input: socket, output: socket, shared: true, pid: undefined, ended, leave: () => socket.destroySoon(), cut };
}

/** What the engine that began last printed, to find out why it ended. */
async function lastWords(address: Address): Promise<string[]> {
  await sleep(20); // a dying process writes its last line after its sockets are closed
  const text = await readFile(logOf(address), "utf8").catch(() => "");
  const lines = text.slice(-shownLog).split("\n");
  return lines.slice(lines.findLastIndex((line) => line.startsWith(beginsWith)) + 1);
}

async function start({ command, args, env }: EngineProgram, address: Address): Promise<Started> {
  const file = logOf(address);
  const isLong = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > largestLog;
  const log = openSync(file, isLong ? "w" : "a", 0o600);
  const child = spawn(command, [...args, "--share", address.folder, address.key], {
    stdio: ["ignore", log, log, "ipc"],
    env: absoluteEnv(env),
    // No folder of the user's is kept from being removed.
    cwd: address.folder,
    windowsHide: true,
    detached: true,
  });
  closeSync(log);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      resolve({ ended: `The engine did not start within ${patience / 1000} seconds.` });
    }, patience);
    const settle = (started: Started): void => {
      clearTimeout(timer);
      if (child.connected) child.disconnect();
      child.unref();
      resolve(started);
    };
    child.once("error", (cause) => settle({ ended: `The engine does not start: ${cause.message}.` }));
    child.once("message", (word) => settle(outcomeOf(word)));
    child.once("exit", (status, signal) => {
      void lastWords(address).then((lines) => settle({ ended: endSentence(status, signal, lines) }));
    });
  });
}

function outcomeOf(word: unknown): Started {
  if (typeof word !== "object" || word === null || !("started" in word)) return { ended: "The engine does not start." };
  if (word.started === true || !("why" in word) || word.why === "taken") return "up";
  return { cannotShare: String(word.why) };
}

/** Engines that are not used, since they are of another version or have other settings. */
async function sayOthers(address: Address, log: (line: string) => void): Promise<void> {
  for (const key of await keysIn(address.folder)) {
    if (key === address.key) continue;
    const socket = await connectTo({ ...address, key });
    socket?.destroy();
    if (socket !== undefined) log("An engine of another version or with other settings runs too; it is left alone.");
  }
}
