// listen.ts — takes an address for this process: the socket is the lock, and dies with its owner.
//
// A socket file outlives a killed process, and to remove one and bind another in its place cannot be done at once: two that start
// together could each remove the other's. So nothing is replaced: each engine binds the next higher number, which only one can, and
// the highest number is the engine. Who finds a higher one after it has bound steps back. Numbers must never fall: an engine leaves its
// file behind, and removes only lower ones.

import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { type Address, numbersOf, socketOf } from "./address.ts";
import { connectTo } from "./connect.ts";

const pipes = process.platform === "win32";

/** A server that has the address; undefined: another engine has it. Throws where there can be no socket. */
export async function listenAt(address: Address): Promise<Server | undefined> {
  for (;;) {
    const running = await connectTo(address);
    if (running !== undefined) {
      running.destroy();
      return undefined;
    }
    const next = pipes ? 1 : ((await numbersOf(address))[0] ?? 0) + 1;
    const server = await bind(await socketOf(address, next));
    if (server === undefined) continue; // taken meanwhile: it is asked whether it is alive
    if (pipes) return server;
    const numbers = await numbersOf(address);
    if (numbers[0] === next) {
      for (const lower of numbers.slice(1)) await rm(await socketOf(address, lower), { force: true });
      return server;
    }
    await new Promise((resolve) => server.close(resolve)); // removes its file, which is not the highest
  }
}

/** Undefined: the name is taken. Who connects before the server is wanted is turned away and comes again. */
function bind(file: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    const turnAway = (socket: { destroy(): void }): void => void socket.destroy();
    server.on("connection", turnAway);
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    const before = pipes ? 0 : process.umask(0o177);
    try {
      server.listen(file, () => resolve(server));
    } finally {
      if (!pipes) process.umask(before);
    }
  });
}
