// client.mjs — sets up what is not up to date, then becomes the terminal client.
//
// The client runs in this process: its signals, streams and exit status are ours, with nothing to pass on.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { dist } from "./layout.mjs";
import { makeReady } from "./ready.mjs";

/** Runs the client with the given arguments. */
export async function main(args) {
  await makeReady();
  const client = join(dist, "cli.cjs");
  process.argv = [process.execPath, client, ...args];
  await import(pathToFileURL(client).href);
}
