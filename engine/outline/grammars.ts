// grammars.ts — tree-sitter and its grammars, loaded when a file first needs them.
//
// The WebAssembly files are found as packages beside the sources or the bundle; nothing is compiled on the user's machine.

import { createRequire } from "node:module";
import { Language, Parser } from "web-tree-sitter";

/** Languages of engine/languages.ts, and the grammar that parses each. */
const grammarOf: Readonly<Record<string, string>> = {
  typescript: "typescript",
  tsx: "tsx",
  javascript: "javascript",
  jsx: "javascript",
  python: "python",
  go: "go",
  rust: "rust",
  java: "java",
  c: "cpp",
  cpp: "cpp",
  cuda: "cpp",
  csharp: "c-sharp",
  ruby: "ruby",
  php: "php",
  bash: "bash",
};

const require = createRequire(import.meta.url);
let started: Promise<void> | undefined;
const languages = new Map<string, Promise<Language>>();

/** The name of the grammar for a language, or undefined where there is none. */
export function grammarFor(language: string): string | undefined {
  return grammarOf[language];
}

/** A parser for the grammar. */
export async function parserFor(grammar: string): Promise<Parser> {
  started ??= Parser.init({ locateFile: () => require.resolve("web-tree-sitter/web-tree-sitter.wasm") });
  await started;
  let language = languages.get(grammar);
  if (language === undefined) {
    language = Language.load(require.resolve(`@vscode/tree-sitter-wasm/wasm/tree-sitter-${grammar}.wasm`));
    languages.set(grammar, language);
  }
  const parser = new Parser();
  parser.setLanguage(await language);
  return parser;
}
