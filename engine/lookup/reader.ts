// reader.ts — the lines and blocks of files, each read once for a question.
//
// Reads through the look-up's deps; a file that cannot be read is undefined, not an error.

import { QuireError } from "../errors.ts";
import { BlockFinder } from "./blocks.ts";
import type { LookupFile, LookupSymbol } from "./types.ts";

export class Reader {
  private readonly texts = new Map<string, readonly string[] | undefined>();
  private readonly finders = new Map<string, BlockFinder>();
  private readonly files: ReadonlyMap<string, LookupFile>;
  private readonly signal: AbortSignal;
  private readonly readText: (file: LookupFile) => Promise<string>;

  constructor(
    files: ReadonlyMap<string, LookupFile>,
    signal: AbortSignal,
    readText: (file: LookupFile) => Promise<string>,
  ) {
    this.files = files;
    this.signal = signal;
    this.readText = readText;
  }

  /** Errors: "cancelled". */
  async lines(path: string): Promise<readonly string[] | undefined> {
    if (this.texts.has(path)) return this.texts.get(path);
    if (this.signal.aborted) throw new QuireError("cancelled", "The look-up was cancelled.");
    const file = this.files.get(path);
    let lines: string[] | undefined;
    try {
      const text = file === undefined ? undefined : await this.readText(file);
      lines = text?.split(/\r?\n/);
      if (lines?.at(-1) === "") lines.pop();
    } catch {
      lines = undefined;
    }
    this.texts.set(path, lines);
    return lines;
  }

  blocks(path: string, lines: readonly string[], symbols: readonly LookupSymbol[] | undefined): BlockFinder {
    const known = this.finders.get(path);
    if (known !== undefined) return known;
    const finder = new BlockFinder(lines, symbols);
    this.finders.set(path, finder);
    return finder;
  }
}
