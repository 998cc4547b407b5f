// definitions.ts — which nodes of a syntax tree define something, and what its name is. One table for all grammars.
//
// In: a node and the class around it. Out: the names that it defines, none for most nodes. Pure over the tree.

import type { Node } from "web-tree-sitter";

export type SymbolKind = "function" | "class" | "method" | "type" | "constant" | "heading";

export interface Definition {
  name: string;
  kind: SymbolKind;
  /** 0-based line of the name: decorators and annotations stand before it. */
  row: number;
  /** The class that a name written `Class::name` or a receiver puts it in. */
  parent?: string;
}

/** Nodes that define one thing; the name is the field "name" or inside the field "declarator". */
const kinds = new Map<string, SymbolKind>(
  Object.entries({
    function_declaration: "function",
    function_definition: "function",
    function_item: "function",
    function_signature_item: "function",
    generator_function_declaration: "function",
    function_signature: "function",
    preproc_function_def: "function",
    macro_definition: "function",
    method_definition: "method",
    method_declaration: "method",
    constructor_declaration: "method",
    method_signature: "method",
    abstract_method_signature: "method",
    method_elem: "method",
    method_spec: "method",
    method: "method",
    singleton_method: "method",
    property_declaration: "method",
    annotation_type_element_declaration: "method",
    class_declaration: "class",
    class_definition: "class",
    class_specifier: "class",
    abstract_class_declaration: "class",
    class: "class",
    struct_item: "class",
    struct_specifier: "class",
    struct_declaration: "class",
    union_item: "class",
    union_specifier: "class",
    record_declaration: "class",
    module: "class",
    internal_module: "class",
    mod_item: "class",
    impl_item: "class",
    trait_item: "type",
    interface_declaration: "type",
    annotation_type_declaration: "type",
    type_alias_declaration: "type",
    type_spec: "type",
    type_alias: "type",
    type_item: "type",
    type_alias_statement: "type",
    trait_declaration: "type",
    enum_declaration: "type",
    enum_item: "type",
    enum_specifier: "type",
    type_definition: "type",
    alias_declaration: "type",
    delegate_declaration: "type",
    const_item: "constant",
    static_item: "constant",
    const_spec: "constant",
    var_spec: "constant",
    const_element: "constant",
    preproc_def: "constant",
  } satisfies Record<string, SymbolKind>),
);

/** Named without a body they only mention what is defined elsewhere; a macro without a value is a guard. */
const needsField = new Map(
  Object.entries({
    class_specifier: "body",
    struct_specifier: "body",
    union_specifier: "body",
    enum_specifier: "body",
    mod_item: "body",
    preproc_def: "value",
  }),
);

const functionValue = /^(?:arrow_function|function_expression|function|generator_function|class)$/;

/** What the node defines. `parent`: the class or namespace around it, if any. */
export function definitionsIn(node: Node, parent: string | undefined): Definition[] {
  const kind = kinds.get(node.type);
  if (kind === undefined) return valueDefinitions(node, parent);
  const needed = needsField.get(node.type);
  if (needed !== undefined && node.childForFieldName(needed) === null) return [];
  if (node.type === "var_spec" || node.type === "const_spec")
    return node.childrenForFieldName("name").flatMap((name) => (name === null ? [] : [constant(name)]));
  const name = nameNode(node);
  if (name === null || name.type === "computed_property_name") return [];
  const owner = parent ?? receiver(node) ?? scope(name);
  const isFunction = kind === "function" || kind === "method";
  return [
    {
      name: plainName(name),
      kind: isFunction ? (owner === undefined ? "function" : "method") : kind,
      row: name.startPosition.row,
      ...(owner === undefined ? {} : { parent: owner }),
    },
  ];
}

/** Constants and functions that are values: `const f = () => …`, `X = 3`, `exports.run = function …`, fields that are functions. */
function valueDefinitions(node: Node, parent: string | undefined): Definition[] {
  switch (node.type) {
    case "variable_declarator":
      return assigned(node.childForFieldName("name"), node.childForFieldName("value"), parent);
    case "public_field_definition":
    case "field_definition": {
      const value = node.childForFieldName("value");
      const isStatic = /^(?:\w+\s+){0,4}static\b/.test(node.text.slice(0, 80));
      if (!isStatic && (value === null || !functionValue.test(value.type))) return [];
      return assigned(node.childForFieldName("name") ?? node.childForFieldName("property"), value, parent);
    }
    case "assignment":
    case "assignment_expression":
      return assigned(node.childForFieldName("left"), node.childForFieldName("right"), parent);
    case "variable_assignment": {
      const name = node.childForFieldName("name");
      return name !== null && /^[A-Z]/.test(name.text) ? [constant(name)] : [];
    }
    case "field_declaration":
    case "constant_declaration":
      return [...prototypes(node, parent), ...constantFields(node)];
    case "declaration":
      return [...prototypes(node, parent), ...(parent === undefined ? globals(node) : [])];
    default:
      return [];
  }
}

function assigned(target: Node | null, value: Node | null, parent: string | undefined): Definition[] {
  if (target === null) return [];
  const isFunction = value !== null && functionValue.test(value.type);
  if (target.type === "member_expression") {
    const name = target.childForFieldName("property");
    const object = target.childForFieldName("object")?.text ?? "";
    const isExport = /^(?:module\.)?exports$/.test(object);
    if (name === null || (!isExport && !(isFunction && /^[\w$.]{1,80}$/.test(object)))) return [];
    const owner = /^([\w$]+)\.prototype$/.exec(object)?.[1];
    const kind = isFunction ? (owner === undefined ? "function" : "method") : "constant";
    return [{ name: name.text, kind, row: name.startPosition.row, ...(owner === undefined ? {} : { parent: owner }) }];
  }
  if (/pattern/.test(target.type)) return bound(target).map(constant);
  if (!/identifier$|^constant$/.test(target.type)) return [];
  const kind = !isFunction
    ? "constant"
    : value.type === "class"
      ? "class"
      : parent === undefined
        ? "function"
        : "method";
  return [{ name: target.text, kind, row: target.startPosition.row }];
}

/** The names that a pattern like `{ a, b: c }` or `x, y` binds. */
function bound(pattern: Node): Node[] {
  return pattern.namedChildren.flatMap((child) => {
    if (child === null) return [];
    if (child.type === "pair_pattern") {
      const value = child.childForFieldName("value");
      return value === null ? [] : value.type === "identifier" ? [value] : bound(value);
    }
    if (/^(?:identifier|shorthand_property_identifier_pattern)$/.test(child.type)) return [child];
    return /pattern$/.test(child.type) ? bound(child) : [];
  });
}

/** `static final`, `const` and the like among a class's fields, in Java and C#. */
function constantFields(node: Node): Definition[] {
  const isConstant =
    node.type === "constant_declaration" ||
    /^[\w\s@()]*\b(?:const|static\s+(?:\w+\s+)?(?:final|readonly)|final\s+static)\b/.test(node.text.slice(0, 120));
  if (!isConstant) return [];
  return node.descendantsOfType("variable_declarator").flatMap((declarator) => {
    const name = declarator?.childForFieldName("name") ?? null;
    return name === null ? [] : [constant(name)];
  });
}

/** Functions that a C or C++ declaration announces: the header's definition of what a source file implements. */
function prototypes(node: Node, parent: string | undefined): Definition[] {
  const declarator = node.childForFieldName("declarator");
  if (declarator === null || !announcesFunction(declarator)) return [];
  const name = innermost(declarator);
  const kind = parent === undefined ? "function" : "method";
  return name === null ? [] : [{ name: plainName(name), kind, row: name.startPosition.row }];
}

function announcesFunction(declarator: Node): boolean {
  for (let at: Node | null = declarator; at !== null; at = inside(at)) {
    // `int (*callback)(int)` is a variable that holds a function.
    if (at.type === "function_declarator")
      return at.childForFieldName("declarator")?.type !== "parenthesized_declarator";
  }
  return false;
}

/** Variables of a C or C++ file that are given a value. */
function globals(node: Node): Definition[] {
  return node.childrenForFieldName("declarator").flatMap((declarator) => {
    const name = declarator?.type === "init_declarator" ? innermost(declarator) : null;
    return name === null ? [] : [constant(name)];
  });
}

function constant(name: Node): Definition {
  return { name: name.text, kind: "constant", row: name.startPosition.row };
}

function nameNode(node: Node): Node | null {
  if (node.type === "impl_item") return node.childForFieldName("type");
  if (node.type === "type_alias_statement") return node.childForFieldName("left");
  if (node.type === "const_element") return node.namedChild(0);
  return node.childForFieldName("name") ?? innermost(node.childForFieldName("declarator"));
}

/** The name inside C's declarators: `static int *f(int)` is f. */
function innermost(declarator: Node | null): Node | null {
  let at = declarator;
  for (let depth = 0; at !== null && depth < 12; depth++) {
    const inner = inside(at);
    if (inner === null) return /identifier|name|operator/.test(at.type) ? at : null;
    at = inner;
  }
  return null;
}

function inside(declarator: Node): Node | null {
  const field = declarator.childForFieldName("declarator");
  if (field !== null) return field.type === "abstract_function_declarator" ? null : field;
  return /^(?:reference|parenthesized|attributed)_declarator$/.test(declarator.type) ? declarator.namedChild(0) : null;
}

/** Without quotes, type arguments and the classes before it: `Store<T>::get` is get, `"x"` is x. */
function plainName(name: Node): string {
  let at = name;
  while (at.type === "qualified_identifier") {
    const inner: Node | null = at.childForFieldName("name");
    if (inner === null) break;
    at = inner;
  }
  if (at.type === "generic_type") at = at.childForFieldName("type") ?? at;
  if (at.type === "scoped_type_identifier") at = at.childForFieldName("name") ?? at;
  return at.text.replace(/^["'`]|["'`]$/g, "");
}

/** The class of a C++ member defined outside of it. */
function scope(name: Node): string | undefined {
  if (name.type !== "qualified_identifier") return undefined;
  const inner = name.childForFieldName("name");
  if (inner?.type === "qualified_identifier") return scope(inner);
  return name.childForFieldName("scope")?.text.replace(/<.*$/s, "");
}

/** Characters of a Go receiver that are looked at. */
const longestReceiver = 200;

/** The type of a Go method. */
function receiver(node: Node): string | undefined {
  const text = node.childForFieldName("receiver")?.text.slice(-longestReceiver);
  return text === undefined ? undefined : /([\p{L}_][\p{L}\p{N}_]*)\s*(?:\[[^\]]*\])?\s*\)$/u.exec(text)?.[1];
}
