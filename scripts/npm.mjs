// npm.mjs — runs npm quietly: the one that runs us, the one beside this Node, or the one on the PATH.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./steps.mjs";

/** `npm <args>`; what npm printed is in the Stop if it fails. `node` is the Node that npm runs in. */
export function runNpm(args, { node = process.execPath, ...options } = {}) {
  const cli = [
    process.env.npm_execpath,
    join(dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js"),
    join(dirname(process.execPath), "node_modules/npm/bin/npm-cli.js"),
  ].find((path) => path?.endsWith("npm-cli.js") && existsSync(path));
  const all = [...args, "--no-audit", "--no-fund", "--loglevel=error"];
  return cli ? run(node, [cli, ...all], options) : run("npm", all, options);
}
