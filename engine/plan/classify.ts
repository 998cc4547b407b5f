// classify.ts — what kind of file a path is, in which language, and about how many tokens its bytes make. Pure.

export type FileClass = "key" | "source" | "test" | "docs" | "config" | "data";

const languages = new Map(
  Object.entries({
    ts: "typescript",
    mts: "typescript",
    cts: "typescript",
    tsx: "tsx",
    js: "javascript",
    mjs: "javascript",
    cjs: "javascript",
    jsx: "jsx",
    py: "python",
    pyi: "python",
    go: "go",
    rs: "rust",
    java: "java",
    kt: "kotlin",
    kts: "kotlin",
    scala: "scala",
    c: "c",
    h: "cpp",
    cc: "cpp",
    cpp: "cpp",
    cxx: "cpp",
    hpp: "cpp",
    hh: "cpp",
    cu: "cuda",
    cuh: "cuda",
    cs: "csharp",
    fs: "fsharp",
    rb: "ruby",
    php: "php",
    swift: "swift",
    m: "objectivec",
    mm: "objectivec",
    lua: "lua",
    pl: "perl",
    pm: "perl",
    r: "r",
    jl: "julia",
    sh: "bash",
    bash: "bash",
    zsh: "bash",
    fish: "fish",
    ps1: "powershell",
    bat: "batch",
    sql: "sql",
    html: "html",
    css: "css",
    scss: "scss",
    less: "less",
    vue: "vue",
    svelte: "svelte",
    dart: "dart",
    ex: "elixir",
    exs: "elixir",
    erl: "erlang",
    hs: "haskell",
    ml: "ocaml",
    mli: "ocaml",
    zig: "zig",
    clj: "clojure",
    proto: "protobuf",
    graphql: "graphql",
    cmake: "cmake",
    md: "markdown",
    mdx: "markdown",
    rst: "rst",
    txt: "text",
    adoc: "asciidoc",
    json: "json",
    jsonc: "json",
    json5: "json",
    yaml: "yaml",
    yml: "yaml",
    toml: "toml",
    ini: "ini",
    cfg: "ini",
    conf: "ini",
    xml: "xml",
    csv: "csv",
    tsv: "csv",
    svg: "xml",
    gradle: "groovy",
    groovy: "groovy",
    tf: "hcl",
    nix: "nix",
  }),
);
const named = new Map(
  Object.entries({
    dockerfile: "dockerfile",
    makefile: "makefile",
    "cmakelists.txt": "cmake",
    rakefile: "ruby",
    gemfile: "ruby",
    jenkinsfile: "groovy",
  }),
);
const docs = new Set(["markdown", "rst", "text", "asciidoc"]);
const config = new Set(["json", "yaml", "toml", "ini", "xml", "dockerfile", "makefile", "cmake", "hcl"]);
const testPath =
  /(?:^|\/)(?:tests?|specs?|__tests__|testing|fixtures?|examples?|benchmarks?|bench|e2e)\/|(?:[._-](?:test|spec)s?\.[^/]+$)|(?:^|\/)(?:test_[^/]*|conftest)\.py$|_test\.(?:go|cpp|cc|py|rb)$|(?:Test|Tests|IT)\.(?:java|kt|cs)$/;
const dataPath = /(?:^|\/)(?:data|golden|results|snapshots|locales?|translations|i18n)\//i;
const keyName = /(?:^|\/)(?:readme|architecture|design|overview|agents|claude)(?:\.[a-z]+)?$/i;
const minorDocs =
  /(?:^|\/)(?:licen[cs]e|copying|notice|authors|contributors|changelog|changes|history|code_of_conduct|security)(?:[.-][a-z0-9-]+)*$/i;

/** A name for the code fence and the outline, "" when unknown. */
export function languageOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  const dot = name.lastIndexOf(".");
  return named.get(name) ?? (dot > 0 ? languages.get(name.slice(dot + 1)) : undefined) ?? "";
}

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
