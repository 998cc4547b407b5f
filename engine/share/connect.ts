// connect.ts — a connection to the engine that runs at an address, if one does. Starts nothing and removes nothing.

import { lstat } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, numbersOf, socketOf } from "./address.ts";

/** Between binding and listening there are microseconds in which a socket refuses: it is asked again before it counts as dead. */
const tries = 4;
const betweenMs = 40;

/** A connection to the engine of this address; undefined: none runs. Throws where the socket is another user's. */
export async function connectTo(address: Address): Promise<Socket | undefined> {
  for (let attempt = 0; attempt < tries; attempt++) {
    if (attempt > 0) await sleep(betweenMs);
    const [newest] = await numbersOf(address);
    if (newest === undefined) return undefined;
    const socket = await connectToNumber(address, newest);
    if (socket !== undefined) return socket;
  }
  return undefined;
}

async function connectToNumber(address: Address, number: number): Promise<Socket | undefined> {
  const file = await socketOf(address, number);
  if (process.platform !== "win32") {
    const found = await lstat(file).catch(() => undefined);
    if (found === undefined) return undefined;
    if (!found.isSocket() || found.uid !== process.getuid?.()) throw new Error(`${file} is not a socket of this user`);
  }
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      socket.on("error", () => {}); // its end is told by "close"
      resolve(socket);
    });
    socket.once("error", () => resolve(undefined));
  });
}
