// serve-all.ts — a shared engine's life: it takes the address, serves who connects, and leaves when it is wanted no more.
//
// In: the address and how one connection is served. Out: a word to the starter, then the end of the process. What a client says is checked
// for size here, and for all else where it is parsed. Only the user can come: the folder is 0700, the sockets 0600 (address.ts).

import type { Socket } from "node:net";
import {
  createMessageConnection,
  type MessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import type { Address } from "./address.ts";
import { Frames } from "./frames.ts";
import { listenAt } from "./listen.ts";
import { beginsWith, type StartWord } from "./reach.ts";
import { Stay } from "./stay.ts";

/** What is needed of engine/engine.ts. */
interface Kept {
  readonly holdsSomething: boolean;
  /** Resolves when all that was read is on the disk. */
  settled(): Promise<void>;
  dispose(): void;
}

/** What is needed of engine/serve.ts. */
interface Served {
  farewell(message: string): Promise<void>;
  end(): void;
}

interface Options {
  stop: (client: string) => void;
  broken: () => void;
  gone: (keepMinutes: number | undefined) => void;
}

/** More than all windows and terminals of a user; who comes in a loop must not take the engine's memory. */
const mostClients = 64;
/** Milliseconds for the last words to reach the clients. */
const farewellMs = 100;

export async function serveAll(
  address: Address,
  engine: Kept,
  serve: (connection: MessageConnection, options: Options) => Served,
): Promise<void> {
  console.error(`${beginsWith}: process ${process.pid}, ${new Date().toISOString()}`);
  const clients = new Map<Socket, Served>();
  const server = await listenAt(address).catch((error: unknown) => {
    tellStarter({ started: false, why: error instanceof Error ? error.message : String(error) });
    return "failed" as const;
  });
  if (server === "failed" || server === undefined) {
    if (server === undefined) tellStarter({ started: false, why: "taken" });
    return;
  }

  // Without closing the server: its file must stay, so that numbers only rise (listen.ts).
  const exit = (): never => {
    engine.dispose();
    process.exit(0);
  };
  const leave = async (): Promise<void> => {
    await engine.settled();
    if (clients.size === 0) exit(); // else somebody came meanwhile
  };
  const stay = new Stay(
    () => engine.holdsSomething,
    () => void leave(),
  );
  const leaveAll = (message: string): void => {
    for (const served of clients.values()) void served.farewell(message);
    setTimeout(() => void engine.settled().then(exit), farewellMs);
  };

  server.removeAllListeners("connection").on("connection", (socket: Socket) => {
    if (clients.size >= mostClients) return void socket.destroy();
    stay.came();
    const frames = new Frames();
    const connection = createMessageConnection(new StreamMessageReader(frames), new StreamMessageWriter(socket));
    const served = serve(connection, {
      stop: (client) => leaveAll(`The engine was stopped by ${client}.`),
      // Its clients begin again with another process; this one takes nothing more.
      broken: () => void setTimeout(() => process.exit(1), farewellMs),
      gone: (keepMinutes) => {
        clients.delete(socket);
        stay.left(keepMinutes);
      },
    });
    clients.set(socket, served);
    frames.on("error", (error) => {
      console.error(`A client was sent away: ${error.message}`);
      void served.farewell(`The engine did not take what was sent: ${error.message}.`).then(() => socket.destroySoon());
    });
    socket.on("error", () => {}); // "close" tells
    socket.on("close", () => {
      served.end();
      connection.dispose();
    });
    socket.pipe(frames);
  });
  tellStarter({ started: true });
}

/** The starter may be gone: that is nothing to fail for. */
function tellStarter(word: StartWord): void {
  if (process.send === undefined || !process.connected) return;
  process.send(word, () => {
    if (process.connected) process.disconnect();
  });
}
