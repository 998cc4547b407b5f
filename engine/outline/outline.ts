// outline.ts — the symbols of a file, from tree-sitter alone: an editor's symbols would make tokens depend on its extensions.
//
// In: a path and its text. Out: definitions in order with their lines and the first line of each as its signature; undefined
// where no grammar knows the language or the file is too large or too hard to parse. Deterministic.

import type { Node } from "web-tree-sitter";
import { languageOf } from "../plan/classify.ts";
import { grammarFor, parserFor } from "./grammars.ts";
import { markdownOutline } from "./markdown.ts";

export interface OutlineSymbol {
  name: string;
  kind: "function" | "class" | "method" | "type" | "constant" | "heading";
  /** 1-based, both included. */
  line: number;
  endLine: number;
  /** The definition's first line, trimmed. */
  signature: string;
  /** The class or namespace that it belongs to. */
  parent?: string;
}

export interface Outline {
  symbols: OutlineSymbol[];
}

/** Larger files are data or generated; parsing one takes about 100 ms per MB. */
const maxCharacters = 1_500_000;
/** A parse that takes longer is given up. */
const maxParseMs = 2000;

type Kind = OutlineSymbol["kind"];

/**
 * Node types that define something, over all grammars; the name is the field "name" or what nameOf finds. Namespaces are not
 * among them: what they hold counts as top-level.
 */
const definitions: Readonly<Record<string, Kind>> = {
  function_declaration: "function",
  function_definition: "function",
  function_item: "function",
  generator_function_declaration: "function",
  function_signature: "function",
  method_definition: "method",
  method_declaration: "method",
  constructor_declaration: "method",
  method_signature: "method",
  abstract_method_signature: "method",
  method: "method",
  singleton_method: "method",
  class_declaration: "class",
  class_definition: "class",
  class_specifier: "class",
  abstract_class_declaration: "class",
  class: "class",
  struct_item: "class",
  struct_specifier: "class",
  struct_declaration: "class",
  record_declaration: "class",
  module: "class",
  impl_item: "class",
  trait_item: "type",
  interface_declaration: "type",
  type_alias_declaration: "type",
  type_declaration: "type",
  type_spec: "type",
  type_item: "type",
  type_alias_statement: "type",
  trait_declaration: "type",
  enum_declaration: "type",
  enum_item: "type",
  enum_specifier: "type",
  type_definition: "type",
  alias_declaration: "type",
  const_item: "constant",
  static_item: "constant",
  const_spec: "constant",
  preproc_def: "constant",
  preproc_function_def: "function",
  mod_item: "class",
  internal_module: "class",
};

/** Nodes whose insides may define more. Function bodies are not entered. */
const containers =
  /^(?:program|module|source_file|translation_unit|compilation_unit|export_statement|decorated_definition|ambient_declaration|class_body|block|body_statement|declaration_list|interface_body|enum_body|object_type|field_declaration_list|lexical_declaration|variable_declaration|expression_statement|template_declaration|linkage_specification|namespace_definition|mod_item|impl_item|trait_item|class_declaration|class_definition|class_specifier|struct_specifier|abstract_class_declaration|class|interface_declaration|internal_module|type_declaration|const_declaration|var_declaration|preproc_if|preproc_ifdef|preproc_else|declaration|namespace_declaration|file_scoped_namespace_declaration|enum_declaration|struct_item|record_declaration|struct_declaration|trait_declaration|interface_type|statement_block|if_statement|else_clause|try_statement)$/;

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
      const lines = text.split("\n");
      const symbols: OutlineSymbol[] = [];
      visit(tree.rootNode, undefined, 0, lines, symbols);
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
  if (depth > 40) return;
  for (const child of node.namedChildren) {
    if (child === null) continue;
    const symbol = symbolOf(child, parent, lines);
    if (symbol !== undefined && into.at(-1)?.name === symbol.name && into.at(-1)?.line === symbol.line) continue;
    if (symbol !== undefined) into.push(symbol);
    if (!containers.test(child.type)) continue;
    const inside = symbol !== undefined && (symbol.kind === "class" || symbol.kind === "type") ? symbol.name : parent;
    visit(child, inside, depth + 1, lines, into);
  }
}

function symbolOf(node: Node, parent: string | undefined, lines: string[]): OutlineSymbol | undefined {
  let kind = definitions[node.type];
  let name = kind === undefined ? undefined : nameOf(node);
  if (kind === undefined) [kind, name] = valueDefinition(node, parent);
  if (kind === undefined || name === undefined || name === "" || name.length > 200) return undefined;
  // A forward declaration or a bodiless C++ class names without defining.
  if (
    (node.type === "class_specifier" || node.type === "struct_specifier" || node.type === "enum_specifier") &&
    node.childForFieldName("body") === null
  )
    return undefined;
  if (kind === "function" && parent !== undefined) kind = "method";
  const line = node.startPosition.row + 1;
  return {
    name,
    kind,
    line,
    endLine: node.endPosition.row + 1,
    signature: (lines[node.startPosition.row] ?? "").trim(),
    ...(parent === undefined ? {} : { parent }),
  };
}

/** Constants and functions that are values: `const f = () => …`, `X = 3`, class fields that are functions. */
function valueDefinition(node: Node, parent: string | undefined): [Kind | undefined, string | undefined] {
  if (
    node.type === "variable_declarator" ||
    node.type === "public_field_definition" ||
    node.type === "field_definition"
  ) {
    const value = node.childForFieldName("value");
    const isFunction =
      value !== null && /^(?:arrow_function|function_expression|function|generator_function)$/.test(value.type);
    if (node.type !== "variable_declarator" && !isFunction) return [undefined, undefined];
    const name = (node.childForFieldName("name") ?? node.childForFieldName("property"))?.text;
    return [isFunction ? (parent === undefined ? "function" : "method") : "constant", name];
  }
  if (node.type === "assignment") {
    const left = node.childForFieldName("left");
    if (left?.type === "identifier" || left?.type === "constant") return ["constant", left.text];
  }
  if (node.type === "init_declarator" && parent === undefined) {
    const name = innermost(node.childForFieldName("declarator"));
    return name !== undefined && /^(?:k[A-Z]|[A-Z_]+\b|g_)/.test(name) ? ["constant", name] : [undefined, undefined];
  }
  // A prototype: the header's own definition of what a source file implements.
  if (node.type === "declaration" || node.type === "field_declaration") {
    const declarator = node.childForFieldName("declarator");
    if (declarator?.type === "function_declarator")
      return [parent === undefined ? "function" : "method", innermost(declarator)];
  }
  return [undefined, undefined];
}

function nameOf(node: Node): string | undefined {
  const name = node.childForFieldName("name");
  if (name !== null) return name.text;
  if (node.type === "impl_item") return node.childForFieldName("type")?.text;
  return innermost(node.childForFieldName("declarator"));
}

/** The name inside C's declarators: `static int *f(int)` is f. */
function innermost(declarator: Node | null): string | undefined {
  let at: Node | null = declarator;
  for (let depth = 0; at !== null && depth < 8; depth++) {
    const inner: Node | null = at.childForFieldName("declarator");
    if (inner === null) return /identifier|name|operator/.test(at.type) ? at.text : undefined;
    at = inner;
  }
  return undefined;
}

export interface BlockRange {
  /** 1-based, both included. */
  startLine: number;
  endLine: number;
}

/**
 * The top-level blocks of a file: each outermost definition with the lines before it that belong to nothing else. Together they
 * cover all lines. The units in which an edit is encoded again.
 */
export function topLevelBlocks(lineCount: number, found: Outline | undefined): BlockRange[] {
  const outer = (found?.symbols ?? [])
    .filter((symbol) => symbol.parent === undefined && symbol.kind !== "heading")
    .sort((a, b) => a.line - b.line || b.endLine - a.endLine);
  const blocks: BlockRange[] = [];
  let next = 1;
  for (const symbol of outer) {
    if (symbol.line < next) continue;
    blocks.push({ startLine: next, endLine: symbol.endLine });
    next = symbol.endLine + 1;
  }
  if (next <= lineCount) blocks.push({ startLine: next, endLine: lineCount });
  return blocks;
}
