// run-program.ts — a program's whole output, bounded in time and size. Passes none of the caller's GIT_ variables on.

import { spawn } from "node:child_process";
import { QuireError } from "../errors.ts";

export interface ProgramOutput {
  ok: boolean;
  /** The program is not there. */
  missing: boolean;
  /** It was stopped for its time or for the size of its output. */
  stopped: boolean;
  /** Standard output, read as UTF-8: bytes that are not become U+FFFD. */
  text: string;
  /** The beginning of standard error. */
  complaint: string;
}

/** More output than that is no source repository. */
const maxOutputBytes = 256 << 20;
const maxComplaintBytes = 4096;

/** Runs to the end. Throws "cancelled"; every other failure is in the result. */
export function runProgram(
  program: string,
  args: readonly string[],
  cwd: string,
  signal: AbortSignal,
  timeoutMs = 60_000,
): Promise<ProgramOutput> {
  return new Promise((resolve, reject) => {
    const cancelled = (): void => reject(new QuireError("cancelled", "Stopped."));
    if (signal.aborted) return cancelled();
    const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_"));
    // No question to a terminal, no fetch of missing objects, complaints in English.
    const env = { ...Object.fromEntries(kept), GIT_TERMINAL_PROMPT: "0", GIT_NO_LAZY_FETCH: "1", LC_ALL: "C" };
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], signal, windowsHide: true });
    const pieces: Buffer[] = [];
    let size = 0;
    let complaint = "";
    let stopped = false;
    const stop = (): void => {
      stopped = true;
      child.kill();
    };
    const timer = setTimeout(stop, timeoutMs);
    child.stdout.on("data", (piece: Buffer) => {
      size += piece.length;
      if (size > maxOutputBytes) stop();
      else pieces.push(piece);
    });
    child.stderr.on("data", (piece: Buffer) => {
      if (complaint.length < maxComplaintBytes) complaint += piece.toString("utf8");
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (signal.aborted) cancelled();
      else resolve({ ok: false, missing: error.code === "ENOENT", stopped, text: "", complaint: error.message });
    });
    child.on("close", (status) => {
      clearTimeout(timer);
      const text = Buffer.concat(pieces).toString("utf8");
      if (signal.aborted) cancelled();
      else resolve({ ok: status === 0 && !stopped, missing: false, stopped, text, complaint });
    });
  });
}
