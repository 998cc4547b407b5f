// main.ts — the engine process: for one client on standard input and output, or shared on a socket. Wires, and decides nothing.
//
//   engine.cjs                        of one client: it ends when its input ends, so that it never outlives who started it
//   engine.cjs --share FOLDER KEY     of all that come to this address (engine/share/), until some minutes after the last
//
// Standard output belongs to the protocol; anything printed by mistake goes to standard error.

import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";
import { Engine } from "./engine.ts";
import { serve } from "./serve.ts";
import { serveAll } from "./share/serve-all.ts";

console.log = console.error;

function serveOne(): void {
  const engine = new Engine({ shared: false });
  const connection = createMessageConnection(
    new StreamMessageReader(process.stdin),
    new StreamMessageWriter(process.stdout),
  );
  const exit = (): void => {
    void engine.settled().then(() => {
      engine.dispose();
      process.exit(0);
    });
  };
  // Its client ends it after a fault, and starts another.
  const served = serve(connection, engine, {
    stop: () => {
      served.farewell("The engine was stopped.");
      setTimeout(exit, 50);
    },
    broken: () => {},
    gone: exit,
  });
}

const [flag, folder, key] = process.argv.slice(2);
if (flag === "--share" && folder !== undefined && key !== undefined) {
  const engine = new Engine({ shared: true });
  void serveAll({ folder, key }, engine, (connection, options) => serve(connection, engine, options));
} else serveOne();
