// network.ts — a network of its own for an editor and its browser, in which every address is this machine and whoever calls is
// written down: what asks for anything outside is seen, and gets nothing.
//
// Needs Linux and the right to make a network namespace; where that is missing, `privateNetwork` says why.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Listens where a caller would look for the web and for names. Run inside the namespace, before the server. */
const listener = `
const { appendFileSync } = require("node:fs");
const [file, ...rest] = process.argv.slice(1);
const note = (line) => appendFileSync(file, line + "\\n");
note("listening");
for (const port of [80, 443]) require("node:net").createServer((s) => { note("tcp " + port); s.destroy(); }).listen(port, "0.0.0.0");
const udp = require("node:dgram").createSocket("udp4");
udp.on("message", (bytes) => note("name " + bytes.toString("latin1").replace(/[^ -~]/g, ".")));
udp.bind(53, "0.0.0.0");
`;

export interface PrivateNetwork {
  /** Put before the server's command. */
  wrap: string[];
  /** A program that runs the browser in the network of the server. */
  browserIn(browser: string, serverPid: number, folder: string): string;
  /** Who called anything outside. */
  calls(): string[];
}

/** A network of its own, or why there is none. */
export function privateNetwork(node: string, file: string): PrivateNetwork | string {
  const tried = spawnSync("unshare", ["-n", "sh", "-c", "ip link set lo up && ip route add local default dev lo"]);
  if (tried.status !== 0) return `no network namespace can be made: ${tried.error?.message ?? tried.stderr}`;
  const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const inside = [
    "ip link set lo up && ip route add local default dev lo",
    `{ ${quoted(node)} -e ${quoted(listener)} ${quoted(file)} & }`,
    'exec "$0" "$@"',
  ].join(" && ");
  return {
    wrap: ["unshare", "-n", "sh", "-c", inside],
    browserIn: (browser, serverPid, folder) => {
      const script = path.join(folder, "browser.sh");
      writeFileSync(script, `#!/bin/sh\nexec nsenter -t ${serverPid} -n ${quoted(browser)} "$@"\n`, { mode: 0o755 });
      return script;
    },
    calls: () =>
      readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "" && line !== "listening"),
  };
}
