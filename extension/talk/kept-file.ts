// kept-file.ts — values by name, kept in one file that is whole on disk when an update returns.
//
// In: a folder of the editor's for this workspace. Out: what was kept there, whatever it is: who takes it parses it. The editor's
// own storage (vscode.Memento) writes a moment later, and a window that is loaded again right after a stop lost its last turn.
// Of two windows with one file the one that opened it last writes: what a left window still hears must not undo newer threads.

import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Storage } from "./talk.ts";

export class KeptFile implements Storage {
  readonly #file: string;
  readonly #warn: (message: string) => void;
  #values: Record<string, unknown>;
  /** Of the file as this window wrote it. */
  #stamp: string | undefined;
  #left = false;

  /** @param warn gets a line for the log when the file cannot be written */
  constructor(folder: string, warn: (message: string) => void) {
    this.#file = path.join(folder, "threads.json");
    this.#warn = warn;
    this.#values = readValues(this.#file);
    this.#stamp = stampOf(this.#file);
    // Written again, it is this window's.
    if (this.#stamp !== undefined) this.#write();
  }

  get(key: string): unknown {
    return this.#values[key];
  }

  update(key: string, value: unknown): void {
    this.#values = { ...this.#values, [key]: value };
    const stamp = stampOf(this.#file);
    this.#left ||= stamp !== undefined && stamp !== this.#stamp;
    if (!this.#left) this.#write();
  }

  #write(): void {
    const part = `${this.#file}.part`;
    try {
      mkdirSync(path.dirname(this.#file), { recursive: true });
      writeFileSync(part, JSON.stringify(this.#values), { mode: 0o600 });
      renameSync(part, this.#file);
      this.#stamp = stampOf(this.#file);
    } catch (error) {
      this.#warn(`Questions and answers are not kept for the next window: ${error}`);
    }
  }
}

function readValues(file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Differs for every writing, since each makes a file of its own. Undefined: there is none. */
function stampOf(file: string): string | undefined {
  try {
    const { ino, mtimeNs, size } = statSync(file, { bigint: true });
    return `${ino} ${mtimeNs} ${size}`;
  } catch {
    return undefined;
  }
}
