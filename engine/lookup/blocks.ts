// blocks.ts — the block of source that a line belongs to: from the outline where there is one, else by indentation.
//
// In: the lines of a file, maybe its outline. Out: for a line the innermost definition around it, with the comment above it.
// Pure. Works on any text: where no definition is found, the paragraph is the block.

import { definitionOfLine } from "../definition-line.ts";
import type { LookupSymbol } from "./types.ts";

export interface Block {
  /** 1-based, both included; start is that of the comment or decorators above. */
  start: number;
  end: number;
  /** The line that names it; 0 where the block is a mere paragraph. */
  signature: number;
  name: string;
  /** The name of the definition around it, or "". */
  within: string;
  /** A class or namespace, whose members are blocks of their own. */
  container: boolean;
}

const containerKinds = /class|struct|interface|namespace|module|impl|enum|trait|object|type/i;
const decoration = /^\s*(?:@|#(?!define|include)|\/\/|\/\*|\*|--\s|""")/;

/** Finds blocks of one file; keeps what it has found. */
export class BlockFinder {
  private readonly lines: readonly string[];
  private readonly symbols: readonly LookupSymbol[];
  private readonly found = new Map<number, Block>();

  constructor(lines: readonly string[], symbols: readonly LookupSymbol[] | undefined) {
    this.lines = lines;
    this.symbols = symbols ?? [];
  }

  /** @param line 1-based */
  at(line: number): Block {
    const target = this.overComment(line);
    const symbol = this.innermostSymbol(target);
    if (symbol !== undefined) {
      const container = containerKinds.test(symbol.kind);
      return this.keep({
        ...this.withComment(symbol.line, Math.min(symbol.endLine, this.lines.length)),
        signature: symbol.line,
        name: symbol.name,
        within: this.symbolAround(symbol),
        container,
      });
    }
    const signature = this.definitionAround(target);
    if (signature === 0) return this.keep(this.paragraph(target));
    const known = this.found.get(signature);
    if (known !== undefined) return known;
    const definition = definitionOfLine(this.lines[signature - 1] ?? "");
    const end = this.endOf(signature);
    const container = definition?.kind === "type";
    return this.keep({
      ...this.withComment(signature, end),
      signature,
      name: definition?.name ?? "",
      within: this.nameAround(signature),
      container,
    });
  }

  private keep(block: Block): Block {
    const key = block.signature === 0 ? -block.start : block.signature;
    const known = this.found.get(key);
    if (known !== undefined) return known;
    this.found.set(key, block);
    return block;
  }

  /** A line within a comment or decorator belongs to what follows it. */
  private overComment(line: number): number {
    let at = line;
    while (at < this.lines.length && at - line < 60 && decoration.test(this.lines[at - 1] ?? "")) at++;
    // A closed comment may be followed by one empty line.
    if (at > line && (this.lines[at - 1] ?? "").trim() === "" && definitionOfLine(this.lines[at] ?? "") !== undefined)
      at++;
    return (this.lines[at - 1] ?? "").trim() === "" || at - line >= 60 ? line : at;
  }

  private innermostSymbol(line: number): LookupSymbol | undefined {
    let best: LookupSymbol | undefined;
    for (const symbol of this.symbols) {
      if (symbol.line > line || symbol.endLine < line) continue;
      if (best === undefined || symbol.endLine - symbol.line <= best.endLine - best.line) best = symbol;
    }
    // A one-line symbol (a constant, a field) is better shown with its neighbours.
    return best !== undefined && best.endLine > best.line ? best : undefined;
  }

  /** The line of the definition around a line, that line itself included; 0: none. */
  private definitionAround(line: number): number {
    const own = this.lines[line - 1] ?? "";
    const self = definitionOfLine(own);
    if (self !== undefined && this.endOf(line) > line) return line;
    let indent = indentOf(own);
    for (let at = line - 1; at >= 1 && indent > 0; at--) {
      const text = this.lines[at - 1] ?? "";
      if (text.trim() === "" || indentOf(text) >= indent || /^\s*[)\]}]/.test(text)) continue;
      indent = indentOf(text);
      const definition = definitionOfLine(text);
      if (definition !== undefined && definition.kind !== "value") return at;
    }
    return 0;
  }

  private symbolAround(inner: LookupSymbol): string {
    let best: LookupSymbol | undefined;
    for (const symbol of this.symbols) {
      if (symbol === inner || symbol.line > inner.line || symbol.endLine < inner.endLine) continue;
      if (best === undefined || symbol.endLine - symbol.line <= best.endLine - best.line) best = symbol;
    }
    return best?.name ?? "";
  }

  private nameAround(signature: number): string {
    const indent = indentOf(this.lines[signature - 1] ?? "");
    if (indent === 0) return "";
    for (let at = signature - 1; at >= 1; at--) {
      const text = this.lines[at - 1] ?? "";
      if (text.trim() === "" || indentOf(text) >= indent) continue;
      const definition = definitionOfLine(text);
      if (definition !== undefined && definition.kind !== "value") return definition.name;
      if (indentOf(text) === 0 && !/^[)\]}]/.test(text)) return "";
    }
    return "";
  }

  /** Last line before the text returns to the indentation of the definition; closing brackets are part of it. */
  private endOf(signature: number): number {
    const indent = indentOf(this.lines[signature - 1] ?? "");
    let end = signature;
    for (let at = signature + 1; at <= this.lines.length; at++) {
      const text = this.lines[at - 1] ?? "";
      if (text.trim() === "") continue;
      const own = indentOf(text);
      if (own < indent || (own === indent && !/^\s*(?:[)\]}{]|else\b|end\b|"""|''')/.test(text))) break;
      end = at;
      if (own === indent && /^\s*[\]}]+[);,]*\s*$|^\s*end\b/.test(text)) break;
    }
    return end;
  }

  private withComment(line: number, end: number): { start: number; end: number } {
    let start = line;
    const indent = indentOf(this.lines[line - 1] ?? "");
    if ((this.lines[line - 2] ?? "x").trim() === "" && /^\s*\*\/\s*$/.test(this.lines[line - 3] ?? "")) start--;
    while (start > 1 && line - start < 40) {
      const above = this.lines[start - 2] ?? "";
      if (!decoration.test(above) || indentOf(above) < indent) break;
      start--;
    }
    return { start, end };
  }

  private paragraph(line: number): Block {
    let start = line;
    let end = line;
    while (start > 1 && line - start < 12 && (this.lines[start - 2] ?? "").trim() !== "") start--;
    while (end < this.lines.length && end - line < 12 && (this.lines[end] ?? "").trim() !== "") end++;
    return { start, end, signature: 0, name: "", within: "", container: false };
  }
}

/** Columns before the first character; a tab counts as 4. */
export function indentOf(line: string): number {
  let columns = 0;
  for (const character of line) {
    if (character === " ") columns++;
    else if (character === "\t") columns += 4;
    else break;
  }
  return columns;
}
