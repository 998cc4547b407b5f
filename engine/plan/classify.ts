// classify.ts — what kind of file a path is, and about how many tokens its bytes make. Pure.

import { languageOf } from "../languages.ts";

export type FileClass = "key" | "source" | "test" | "docs" | "config" | "data";

const docs = new Set(["markdown", "rst", "text", "asciidoc"]);
const config = new Set(["json", "yaml", "toml", "ini", "xml", "dockerfile", "makefile", "cmake", "hcl"]);
const testPath =
  /(?:^|\/)(?:tests?|specs?|__tests__|testing|fixtures?|examples?|benchmarks?|bench|e2e)\/|(?:[._-](?:test|spec)s?\.[^/]+$)|(?:^|\/)(?:test_[^/]*|conftest)\.py$|_test\.(?:go|cpp|cc|py|rb)$|(?:Test|Tests|IT)\.(?:java|kt|cs)$/;
const dataPath = /(?:^|\/)(?:data|golden|results|snapshots|locales?|translations|i18n)\//i;
const keyName = /(?:^|\/)(?:readme|architecture|design|overview|agents|claude)(?:\.[a-z]+)?$/i;
const minorDocs =
  /(?:^|\/)(?:licen[cs]e|copying|notice|authors|contributors|changelog|changes|history|code_of_conduct|security)(?:[.-][a-z0-9-]+)*$/i;

/** The kind by which the plan values it. */
export function classify(path: string): FileClass {
  const language = languageOf(path);
  if (minorDocs.test(path)) return "data";
  const depth = path.split("/").length;
  if (keyName.test(path) && (docs.has(language) || language === "") && depth <= 2) return "key";
  if (language === "csv" || dataPath.test(path)) return "data";
  if (testPath.test(path)) return "test";
  if (docs.has(language)) return "docs";
  if (config.has(language)) return "config";
  return language === "" ? "data" : "source";
}

/** Tokens that so many bytes make, roughly: measured on code, prose and data with Qwen2.5's tokenizer. */
export function estimateTokens(bytes: number, path: string): number {
  const language = languageOf(path);
  const bytesPerToken = docs.has(language)
    ? 3.8
    : config.has(language) || language === "csv" || language === ""
      ? 2.4
      : 3.5;
  return Math.ceil(bytes / bytesPerToken) + 16;
}
