// steps.mjs — what a set-up step looks like to the person waiting: one line on standard error, its seconds, and the
// output of a command only when it failed.
//
// Standard output belongs to the command that is being set up for (it may be JSON); nothing here writes to it.
import { spawn } from "node:child_process";

/** A failure with a message for the user; it is printed without a stack. */
export class Stop extends Error {
  name = "Stop";
}

const keptOutput = 16 * 1024;

/** Ninja's lines about what went well say nothing about what did not. */
const withoutProgress = (output) => output.replace(/^\[\d+\/\d+\] .*\n/gm, "").trimEnd();

/** Runs `work` behind a line like "quire: installing packages … 12.3 s". */
export async function step(title, work, out = process.stderr) {
  const began = performance.now();
  out.write(`quire: ${title} … `);
  try {
    const result = await work();
    out.write(`${((performance.now() - began) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (error) {
    out.write("failed\n");
    throw error;
  }
}

/**
 * Runs a command and returns its output (standard output and error, as they came). Throws Stop with the end of that output when
 * it does not exit with 0. `show` passes the output through as well, to the given stream.
 */
export function run(command, args, { cwd, env, show, shell = false, allowFailure = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, shell, stdio: ["ignore", "pipe", "pipe"] });
    const out = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => {
        out.push(data);
        show?.write(data);
      });
    }
    child.on("error", (error) => {
      if (allowFailure) resolve({ status: 127, output: String(error.message) });
      else reject(new Stop(`cannot run ${command}: ${error.message}`));
    });
    child.on("close", (status, signal) => {
      const output = Buffer.concat(out).toString();
      if (status === 0 || allowFailure) return resolve({ status: status ?? 1, output });
      const end = show ? "" : `\n${withoutProgress(output).slice(-keptOutput)}`;
      reject(
        new Stop(`${[command, ...args].join(" ")} ${signal ? `was ended by ${signal}` : `failed (${status})`}${end}`),
      );
    });
  });
}
