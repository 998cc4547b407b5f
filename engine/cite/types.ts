// types.ts — what the cite stage is given and what it answers. Types only.

/** A piece of a file as it was read: a document of the memory, or a region looked up for the question. */
export interface ReadDocument {
  path: string;
  text: string;
  /** Of "outline" and "name" only the path and the outline's symbols are known: their text has no lines of the file. */
  detail: "full" | "outline" | "name";
  /** The file's line, 1-based, that the text begins with. Default 1. */
  firstLine?: number;
}

export interface OutlineLine {
  name: string;
  line: number;
  endLine: number;
  signature: string;
}

export interface CiteOptions {
  /** Attention mass per path, to order what fits equally well. */
  pageMass?: ReadonlyMap<string, number>;
}

export interface Place {
  path: string;
  /** 1-based; 0 for a whole file. */
  line: number;
}

/** A piece of the answer: [start, end) in UTF-16 units. */
export interface Anchor {
  start: number;
  end: number;
}

export interface Citation {
  /** The number of its marker, from 1; 0 for what is only marked as not verified. */
  index: number;
  /** A path of the read set, or "" where nothing of it was found: never a path made up by the answer. */
  path: string;
  /** 1-based; 0 for a whole file or where nothing was found. */
  line: number;
  endLine?: number;
  /** That line as it was read. */
  text: string;
  /** What the answer names stands there. */
  verified: boolean;
  /** The first piece of the answer that it is about. */
  anchor: Anchor;
  /** All of them. */
  mentions: Anchor[];
  /** All places that fit as well, best first, where it is not clear which one is meant. */
  choices?: Place[];
}

export interface Cited {
  citations: Citation[];
  /** The answer with [n] after what is cited and [?] after paths and code that were not found. */
  marked: string;
}
