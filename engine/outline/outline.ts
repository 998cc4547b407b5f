// outline.ts — the symbols of a file, from tree-sitter alone: an editor's symbols would make tokens depend on its extensions.
//
// In: a path and its text. Out: definitions in order with their lines and the line of each as its signature; undefined
// where no grammar knows the language or the file is too large or too hard to parse. Deterministic.

import type { Node } from "web-tree-sitter";
import { languageOf } from "../languages.ts";
import { definitionsIn, type SymbolKind } from "./definitions.ts";
import { grammarFor, parserFor } from "./grammars.ts";
import { markdownOutline } from "./markdown.ts";

export interface OutlineSymbol {
  name: string;
  kind: SymbolKind;
  /** 1-based, both included. The first is the one with the name, after decorators. */
  line: number;
  endLine: number;
  /** The line with the name, trimmed. */
  signature: string;
  /** The class or namespace that it belongs to. */
  parent?: string;
}

export interface Outline {
  symbols: OutlineSymbol[];
}

/** Larger files are data or generated. Parsing takes about 1 s and 150 MB for each MB; WebAssembly never gives memory back. */
const maxCharacters = 600_000;
/** A parse that takes longer is given up. */
const maxParseMs = 2000;
/** More is a table of names, not an outline. */
const maxSymbols = 5000;
/** Definitions nested deeper are left out. */
const maxDepth = 40;
const longestName = 200;

/** Nodes whose insides may define more. Function bodies are not entered. */
const containers = new Set(
  (
    "ERROR program module source_file translation_unit compilation_unit export_statement decorated_definition " +
    "ambient_declaration class_body block body_statement declaration_list interface_body enum_body enum_body_declarations " +
    "enum_declaration_list annotation_type_body object_type field_declaration_list lexical_declaration variable_declaration " +
    "expression_statement template_declaration linkage_specification namespace_definition namespace_declaration " +
    "file_scoped_namespace_declaration internal_module mod_item impl_item trait_item union_item struct_item " +
    "class_declaration class_definition class_specifier class abstract_class_declaration singleton_class struct_specifier " +
    "struct_declaration record_declaration interface_declaration trait_declaration annotation_type_declaration " +
    "enum_declaration type_declaration type_spec interface_type const_declaration var_declaration var_spec_list " +
    "declaration_command preproc_if preproc_ifdef preproc_else preproc_elif declaration " +
    "statement_block if_statement else_clause try_statement except_clause"
  ).split(" "),
);

/** The outline of a file, or undefined. Never throws for a file's contents. */
export async function outline(path: string, text: string): Promise<Outline | undefined> {
  const language = languageOf(path);
  if (text.length > maxCharacters) return undefined;
  if (language === "markdown") return markdownOutline(text);
  const grammar = grammarFor(language);
  if (grammar === undefined) return undefined;
  const parser = await parserFor(grammar);
  try {
    const deadline = performance.now() + maxParseMs;
    const tree = parser.parse(text, null, { progressCallback: () => performance.now() > deadline });
    if (tree === null) return undefined;
    try {
      const symbols: OutlineSymbol[] = [];
      visit(tree.rootNode, undefined, 0, text.split("\n"), symbols);
      return { symbols };
    } finally {
      tree.delete();
    }
  } catch {
    return undefined; // a grammar that gives up on odd input costs the outline, not the file
  } finally {
    parser.delete();
  }
}

function visit(node: Node, parent: string | undefined, depth: number, lines: string[], into: OutlineSymbol[]): void {
  if (depth > maxDepth) return;
  for (const child of node.namedChildren) {
    if (child === null || into.length >= maxSymbols) continue;
    let inner = parent;
    for (const definition of definitionsIn(child, parent)) {
      const { name, kind, row, parent: owner = parent } = definition;
      if (name === "" || name.length > longestName || name.includes("\n")) continue;
      if (kind === "class" || kind === "type") inner = name;
      into.push({
        name,
        kind,
        line: row + 1,
        endLine: Math.max(row, lastRow(child)) + 1,
        signature: (lines[row] ?? "").trim(),
        ...(owner === undefined ? {} : { parent: owner }),
      });
    }
    if (containers.has(child.type)) visit(child, inner, depth + 1, lines, into);
  }
}

/** A node that ends with a line break ends on the line before. */
function lastRow(node: Node): number {
  const { row, column } = node.endPosition;
  return column === 0 && row > node.startPosition.row ? row - 1 : row;
}
