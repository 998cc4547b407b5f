// recall-questions.ts — keyed questions about sources of packages pinned in package-lock.json, for recall.test.ts.
//
// Each names the file and a piece of the line that an answer needs. Paths are relative to node_modules.

export interface KeyedQuestion {
  kind: "file" | "value" | "default" | "does" | "raises" | "hop";
  question: string;
  path: string;
  gold: string;
}

/** Folders that together make the workspace. */
export const folders = [
  "mocha/lib",
  "commander/lib",
  "@huggingface/gguf/src",
  "@huggingface/jinja/src",
  "cli-progress/lib",
];

const rows: [KeyedQuestion["kind"], string, string, string][] = [
  ["file", "Which file defines InvalidArgumentError?", "commander/lib/error.js", "class InvalidArgumentError"],
  ["file", "In which file is `createMultipleDoneError`?", "mocha/lib/errors.js", "function createMultipleDoneError("],
  [
    "file",
    "Where is the class TreeNode or Interpreter that runs a parsed template?",
    "@huggingface/jinja/src/runtime.ts",
    "export class Interpreter",
  ],
  [
    "value",
    "What is the value of GGUF_DEFAULT_ALIGNMENT?",
    "@huggingface/gguf/src/gguf.ts",
    "GGUF_DEFAULT_ALIGNMENT = 32",
  ],
  [
    "value",
    "How large is an HTTP chunk when a GGUF file is fetched?",
    "@huggingface/gguf/src/gguf.ts",
    "HTTP_CHUNK_SIZE = 2 * 10 ** 6",
  ],
  [
    "value",
    "What is the maximum distance for similar command names?",
    "commander/lib/suggestSimilar.js",
    "const maxDistance = 3",
  ],
  ["value", "What is Base.maxDiffSize?", "mocha/lib/reporters/base.js", "Base.maxDiffSize = 8192"],
  ["default", "What is the default timeout of a runnable?", "mocha/lib/runnable.js", "this._timeout = 2000"],
  ["default", "What is the default step of range()?", "@huggingface/jinja/src/utils.ts", "step = 1"],
  [
    "default",
    "Which minimum width to wrap does help use by default?",
    "commander/lib/help.js",
    "this.minWidthToWrap = 40",
  ],
  [
    "default",
    "What does showHelpAfterError take if nothing is given?",
    "commander/lib/command.js",
    "showHelpAfterError(displayHelp = true)",
  ],
  [
    "does",
    "Which function turns a date into a formatted string?",
    "@huggingface/jinja/src/utils.ts",
    "export function strftime(",
  ],
  [
    "does",
    "Which function reads the shard number out of a file name?",
    "@huggingface/gguf/src/gguf.ts",
    "function parseGgufShardFilename(",
  ],
  [
    "does",
    "Which method reports mandatory options that are missing?",
    "commander/lib/command.js",
    "_checkForMissingMandatoryOptions() {",
  ],
  [
    "does",
    "What computes the number of edits between two words?",
    "commander/lib/suggestSimilar.js",
    "function editDistance(",
  ],
  ["does", "Which function keeps a number within a range?", "mocha/lib/utils.cjs", "exports.clamp = function clamp("],
  [
    "does",
    "Which function calls the watcher's filter for glob paths?",
    "mocha/lib/cli/watch-run.cjs",
    "function createPathFilter(",
  ],
  [
    "raises",
    "What throws 'range() step must not be zero'?",
    "@huggingface/jinja/src/utils.ts",
    "range() step must not be zero",
  ],
  [
    "raises",
    "When does reading say that it is not starting with GGUF magic number?",
    "@huggingface/gguf/src/gguf.ts",
    "not starting with GGUF magic number",
  ],
  ["raises", "Where is 'missing required argument' reported?", "commander/lib/command.js", "missing required argument"],
  [
    "raises",
    "Which code throws a SyntaxError for a missing end of comment tag?",
    "@huggingface/jinja/src/lexer.ts",
    "Missing end of comment tag",
  ],
  [
    "hop",
    "unknownCommand uses suggestSimilar: what does that return without candidates?",
    "commander/lib/suggestSimilar.js",
    "candidates.length === 0) return ''",
  ],
  [
    "hop",
    "Suite.timeout uses clamp of another file: what does clamp return?",
    "mocha/lib/utils.cjs",
    "Math.min(Math.max(",
  ],
  [
    "hop",
    "Runner calls createStatsCollector: which counters does the stats object begin with?",
    "mocha/lib/stats-collector.js",
    "suites: 0",
  ],
];

export const questions: KeyedQuestion[] = rows.map(([kind, question, path, gold]) => ({ kind, question, path, gold }));
