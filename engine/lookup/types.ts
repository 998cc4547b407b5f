// types.ts — what the look-up stage is asked and what it answers. Types only.

import type { Found } from "./search.ts";

export interface LookupDeps {
  search: (files: readonly LookupFile[], strings: readonly string[], signal: AbortSignal) => Promise<Found>;
  /** The file as it was collected; rejects where it cannot be read. */
  readText: (file: LookupFile) => Promise<string>;
}

/** How much of a file memory holds; a file that is not in the map is off. */
export type HeldDetail = "full" | "outline" | "name";

export interface LookupFile {
  /** As Quire shows it: "/" between segments, beginning with the folder's name in multi-root workspaces. */
  path: string;
  absolutePath: string;
  bytes: number;
}

export interface LookupSymbol {
  name: string;
  kind: string;
  /** 1-based, both included. */
  line: number;
  endLine: number;
  signature: string;
}

export interface LookupRequest {
  question: string;
  /** Every collected file of every folder, held or not. */
  files: readonly LookupFile[];
  inMemory: ReadonlyMap<string, HeldDetail>;
  outlines: ReadonlyMap<string, { readonly symbols: readonly LookupSymbol[] }>;
  /** For all regions together, as countTokens counts renderRegion. */
  budgetTokens: number;
  /** Also add regions of files that memory holds in full. */
  includeHeld?: boolean;
}

/** Lines of a file that the question needs and memory lacks. */
export interface Region {
  path: string;
  /** 1-based, both included. */
  startLine: number;
  endLine: number;
  /** The lines as they stand in the file, joined with "\n". */
  text: string;
  /** The first line of the enclosing definition, where the region does not hold it. */
  signature?: { line: number; text: string };
  /** In words, for the user: what of the question led here. */
  why: string;
  score: number;
}

export interface NamedFile {
  path: string;
  state: HeldDetail | "off";
}

/** Where a symbol of the question is defined. */
export interface Definition {
  name: string;
  path: string;
  /** 1-based. */
  line: number;
  text: string;
}

/** A line that raises an error, in a function that the question is about. */
export interface Raise {
  /** The function. */
  name: string;
  path: string;
  /** 1-based. */
  line: number;
  text: string;
}

export interface LookupResult {
  /** The question asks how something works, not for a name or a value. */
  explains: boolean;
  /** Best first. */
  regions: Region[];
  /** Of the symbols that the question names and that are defined in few places, in the order of the question's weights. */
  definitions: Definition[];
  /** Where the question asks for an error: the lines that raise one. */
  raises: Raise[];
  /** Files and symbols that the question names and no file of the workspace has. */
  missing: string[];
  /** Files that the question names, with how much of each memory holds. */
  namedFiles: NamedFile[];
  /** False where the search met its time or output limit. */
  complete: boolean;
}
