// cite-index.ts — where words, definitions, lines and paths stand in what was read.
//
// In: the documents and regions as they were read, maybe their outlines. Out: places by word, by definition, by text and by
// path. Built once per state of the memory. Pure: knows nothing that was not given to it, so it cannot lead outside.

import { definitionOfLine } from "../definition-line.ts";
import { escapePattern } from "../escape-pattern.ts";
import type { OutlineLine, ReadDocument } from "./types.ts";

export interface Spot {
  path: string;
  line: number;
  text: string;
}

interface Chunk {
  path: string;
  lines: string[];
  /** The file's line of the first of `lines`. */
  first: number;
  /** Instead of `first`, where lines do not follow each other. */
  numbers?: number[];
  base: number;
}

/** A line's words beyond this length are data, not code. */
const longestLine = 4_000;

export class CiteIndex {
  readonly paths: ReadonlySet<string>;
  /** Paths, and names of files, that no pattern finds in running text: with spaces, quotes or brackets. */
  readonly oddPaths: readonly string[];
  private readonly chunks: Chunk[] = [];
  private readonly byPath = new Map<string, Chunk[]>();
  private readonly words = new Map<string, number[]>();
  private readonly definitions = new Map<string, number[]>();
  private readonly parents = new Map<number, string>();
  /** Paths by the file's name, with and without its ending. */
  private readonly byName = new Map<string, string[]>();
  private readonly squeezed = new Map<number, string>();

  constructor(
    read: readonly ReadDocument[],
    outlines: ReadonlyMap<string, { readonly symbols: readonly OutlineLine[] }> = new Map(),
  ) {
    this.paths = new Set(read.map(({ path }) => path));
    for (const path of this.paths) {
      const name = baseName(path).toLowerCase();
      push(this.byName, name, path);
      const stem = name.replace(/\.[^.]*$/, "");
      if (stem !== name && stem !== "") push(this.byName, stem, path);
    }
    const odd = [...this.paths].filter((path) => /[^\p{L}\p{N}_@.~$#/+-]/u.test(path)).slice(0, 2_000);
    this.oddPaths = [
      ...new Set([
        ...odd,
        ...odd.map(baseName).filter((name) => /[^\p{L}\p{N}_@.~$#/+-]/u.test(name) && name.length > 4),
      ]),
    ].sort((a, b) => b.length - a.length);
    const full = new Set<string>();
    for (const document of read) {
      if (document.detail !== "full") continue;
      full.add(document.path);
      this.addText(document);
    }
    for (const path of this.paths) if (!full.has(path)) this.addOutline(path, outlines.get(path)?.symbols ?? []);
  }

  /** Places of a line id; lines read twice (a document and a region of it) come once. */
  spots(ids: readonly number[]): Spot[] {
    const found = new Map<string, Spot>();
    for (const id of ids) {
      const spot = this.spot(id);
      const key = `${spot.line}\n${spot.path}`;
      if (!found.has(key)) found.set(key, spot);
    }
    return [...found.values()];
  }

  /** Where a name is defined; "Outer.inner" only within Outer, or in a file called so. */
  definitionsOf(name: string): Spot[] {
    const parts = name.split(/\.|::|->|#/).filter((part) => part !== "");
    const last = parts[parts.length - 1] ?? "";
    const ids = this.definitions.get(last) ?? [];
    const owner = parts[parts.length - 2];
    if (owner === undefined || ids.length === 0) return this.spots(ids);
    const within = ids.filter((id) => this.parents.get(id) === owner);
    if (within.length > 0) return this.spots(within);
    const inFile = this.spots(ids).filter(({ path }) =>
      new RegExp(`(?:^|/)${escapePattern(owner)}(?:\\.|/)`, "i").test(path),
    );
    if (inFile.length > 0) return inFile;
    return /^(?:self|this|cls|app|module|exports)$/.test(owner) || ids.length === 1 ? this.spots(ids) : [];
  }

  usesOf(word: string): Spot[] {
    return this.spots(this.words.get(word) ?? []);
  }

  /** Lines that hold a piece of code, spaces and kind of quotes aside. Undefined: it has no word to look it up by. */
  linesWith(code: string): Spot[] | undefined {
    const ids = this.idsWith(code);
    return ids === undefined ? undefined : this.spots(ids);
  }

  idsWith(code: string): number[] | undefined {
    const rarest = this.rarest(code);
    if (rarest === undefined) return undefined;
    const wanted = squeeze(code);
    return rarest.filter((id) => this.squeezedLine(id).includes(wanted));
  }

  spot(id: number): Spot {
    const chunk = this.chunkOf(id);
    const at = id - chunk.base;
    return {
      path: chunk.path,
      line: chunk.numbers?.[at] ?? chunk.first + at,
      text: (chunk.lines[at] ?? "").slice(0, longestLine),
    };
  }

  /** The line of a file, if it was read. */
  lineOf(path: string, line: number): Spot | undefined {
    for (const chunk of this.byPath.get(path) ?? []) {
      const at = chunk.numbers === undefined ? line - chunk.first : chunk.numbers.indexOf(line);
      const text = at < 0 ? undefined : chunk.lines[at];
      if (text !== undefined) return { path, line, text: text.slice(0, longestLine) };
    }
    return undefined;
  }

  /** Paths that a name means: whole, or a suffix of whole segments, with or without the ending. */
  pathsOf(said: string): string[] {
    const wanted = said
      .replaceAll("\\", "/")
      .replace(/^(?:\.\/)+/, "")
      .replace(/\/+$/, "")
      .normalize("NFC");
    if (wanted === "" || wanted.startsWith("/") || wanted.split("/").includes("..")) return [];
    if (this.paths.has(wanted)) return [wanted];
    const candidates = this.byName.get(baseName(wanted).toLowerCase()) ?? [];
    const suffix = (fold: (text: string) => string): string[] =>
      candidates.filter((path) => {
        const own = fold(`/${path.normalize("NFC")}`);
        const asked = fold(`/${wanted}`);
        return own.endsWith(asked) || own.replace(/\.[^./]+$/, "").endsWith(asked);
      });
    const exact = suffix((text) => text);
    return exact.length > 0 ? exact : suffix((text) => text.toLowerCase());
  }

  isFolder(said: string): boolean {
    const wanted = said
      .replaceAll("\\", "/")
      .replace(/^(?:\.\/)+/, "")
      .replace(/\/*$/, "/");
    for (const path of this.paths) if (path.startsWith(wanted) || path.includes(`/${wanted}`)) return true;
    return false;
  }

  private addText(document: ReadDocument): void {
    const lines = document.text.split(/\r?\n/);
    const chunk: Chunk = { path: document.path, lines, first: document.firstLine ?? 1, base: this.nextBase() };
    this.chunks.push(chunk);
    push(this.byPath, chunk.path, chunk);
    const open: { indent: number; name: string }[] = [];
    lines.forEach((line, i) => {
      const text = line.length > longestLine ? line.slice(0, longestLine) : line;
      const id = chunk.base + i;
      for (const word of new Set(text.match(wordShape) ?? [])) push(this.words, word, id);
      const definition = mayDefine.test(text) ? definitionOfLine(text) : undefined;
      if (definition === undefined) return;
      const indent = text.length - text.trimStart().length;
      while (open.length > 0 && (open[open.length - 1]?.indent ?? 0) >= indent) open.pop();
      // A local variable is no definition that anyone means.
      if (definition.kind === "value" && open.some(({ name }) => name.endsWith("()"))) return;
      push(this.definitions, definition.name, id);
      const parent = open[open.length - 1]?.name;
      if (parent !== undefined) this.parents.set(id, parent.replace("()", ""));
      if (definition.kind !== "value" && definition.kind !== "constant")
        open.push({ indent, name: definition.kind === "type" ? definition.name : `${definition.name}()` });
    });
  }

  private addOutline(path: string, symbols: readonly OutlineLine[]): void {
    const chunk: Chunk = {
      path,
      lines: symbols.map(({ signature }) => signature),
      numbers: symbols.map(({ line }) => line),
      first: 1,
      base: this.nextBase(),
    };
    this.chunks.push(chunk);
    push(this.byPath, chunk.path, chunk);
    symbols.forEach(({ name, line, endLine }, i) => {
      const id = chunk.base + i;
      push(this.definitions, name, id);
      for (const word of new Set((chunk.lines[i] ?? "").match(wordShape) ?? [])) push(this.words, word, id);
      const parent = symbols.filter((other) => other.line < line && other.endLine >= endLine).pop();
      if (parent !== undefined) this.parents.set(id, parent.name);
    });
  }

  private nextBase(): number {
    const last = this.chunks[this.chunks.length - 1];
    return last === undefined ? 0 : last.base + last.lines.length;
  }

  private chunkOf(id: number): Chunk {
    let low = 0;
    let high = this.chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.chunks[middle]?.base ?? 0) <= id) low = middle;
      else high = middle - 1;
    }
    const chunk = this.chunks[low];
    if (chunk === undefined) throw new RangeError(`no line ${id}`);
    return chunk;
  }

  private squeezedLine(id: number): string {
    const known = this.squeezed.get(id);
    if (known !== undefined) return known;
    const made = squeeze(this.spot(id).text);
    this.squeezed.set(id, made);
    return made;
  }

  /** Lines of the word of the code that stands in the fewest lines; its first and last word may be cut off. */
  private rarest(code: string): number[] | undefined {
    const words = code.match(wordShape);
    if (words === null) return undefined;
    let best: number[] | undefined;
    for (const word of words) {
      const ids = this.words.get(word) ?? [];
      if (best === undefined || ids.length < best.length) best = ids;
    }
    return best;
  }
}

/** Builds the index once; resolveCitations may use it for any number of answers. */
export function createCiteIndex(
  read: readonly ReadDocument[],
  outlines?: ReadonlyMap<string, { readonly symbols: readonly OutlineLine[] }>,
): CiteIndex {
  return new CiteIndex(read, outlines);
}

const wordShape = /[\p{L}_$][\p{L}\p{N}_$]+/gu;
/** Cheap first look: a line without any of these defines nothing. */
const mayDefine =
  /[=({:]|\b(?:def|class|func|fn|function|const|let|var|type|struct|enum|interface|module|define|trait|end)\b/;

function squeeze(text: string): string {
  return text
    .replace(/\s+/g, "")
    .replace(/["`]/g, "'")
    .replace(/[;,]+$/, "");
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
