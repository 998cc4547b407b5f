// imports.test.ts — who may import whom. ARCHITECTURE.md's picture as a table, and every import and #include held against it.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Arrow, readArrows } from "./import-reader.ts";

interface Rule {
  /** A file, or a folder with its slash. The longest rule that fits a file counts. */
  from: string;
  /** What it may import beside its own folder: files, or folders with their slash. */
  values: string[];
  /** What it may import types of, besides. */
  types?: string[];
}

const stages = ["collect", "plan", "outline", "render", "tokenize", "prefill", "lookup", "cite"].map(
  (name) => `engine/${name}/`,
);
/** Files beside the stages that import no stage and that all of them may use. */
const common = [
  "engine/errors.ts",
  "engine/here.ts",
  "engine/definition-line.ts",
  "engine/escape-pattern.ts",
  "engine/languages.ts",
  "words/",
];
const surface = "native/index.d.ts";
/** The joints: the files that may call several stages. */
const joints = [
  "engine/pipeline.ts",
  "engine/question.ts",
  "engine/prepare.ts",
  "engine/generate.ts",
  "engine/engine.ts",
  "engine/client.ts",
  "engine/model-shelf.ts",
  "engine/memory-shelf.ts",
  "engine/model-requests.ts",
  "engine/open-model.ts",
];

const rules: Rule[] = [
  // Leaves.
  { from: "engine/protocol.ts", values: [] },
  { from: "engine/errors.ts", values: [] },
  { from: "engine/here.ts", values: [] },
  { from: "engine/definition-line.ts", values: [] },
  { from: "engine/escape-pattern.ts", values: [] },
  { from: "engine/languages.ts", values: [] },
  { from: "engine/version.ts", values: ["package.json"] },
  // Files of engine/ without a rule of their own: beside the stages, and knowing none of them.
  {
    from: "engine/",
    values: [
      ...common,
      "engine/backends.ts",
      "engine/native.ts",
      "engine/paths.ts",
      "engine/version.ts",
      "engine/models/",
    ],
    types: ["engine/protocol.ts", surface],
  },
  { from: "engine/native.ts", values: common, types: [surface] },
  {
    from: "engine/memory-requests.ts",
    values: ["engine/memories/", "engine/paths.ts"],
    types: ["engine/protocol.ts"],
  },
  // The stages: each other's types, never each other's functions.
  ...stages.map((from) => ({
    from,
    values: from === "engine/prefill/" ? [...common, "engine/native.ts"] : common,
    types: [...stages, "engine/models/", "engine/protocol.ts", surface],
  })),
  {
    from: "engine/memories/",
    values: [...common, "engine/native.ts", "engine/paths.ts"],
    types: ["engine/protocol.ts", surface],
  },
  { from: "engine/models/", values: [...common, "engine/paths.ts"], types: ["engine/protocol.ts", surface] },
  // Who joins them.
  ...joints.map((from) => ({ from, values: ["engine/"], types: [surface] })),
  { from: "engine/main.ts", values: ["engine/"] },
  { from: "engine/serve.ts", values: ["engine/"] },
  { from: "engine/turns.ts", values: ["engine/abortable.ts"] },
  // How clients and engine find each other: it knows the protocol's version, and nothing that is said.
  { from: "engine/share/", values: ["engine/errors.ts", "engine/paths.ts", "engine/protocol.ts"] },
  // Clients know the protocol, the way to an engine, and nothing behind it.
  { from: "engine/cli/", values: [...common, "engine/protocol.ts", "engine/share/", "engine/version.ts"] },
  { from: "extension/", values: ["engine/protocol.ts", "engine/share/", "media/messages.ts", "words/"] },
  { from: "media/messages.ts", values: [] },
  { from: "media/", values: ["media/messages.ts", "words/"] },
  // What both say to people; it knows the shapes of what is shown, and neither of them.
  { from: "words/", values: [], types: ["media/messages.ts"] },
  // The native part, from the bottom up.
  { from: "native/core/", values: [] },
  { from: "native/kernels/", values: ["native/core/"] },
  { from: "native/model/", values: ["native/kernels/", "native/core/"] },
  { from: "native/memory/", values: ["native/model/", "native/kernels/", "native/core/"] },
  { from: "native/decode/", values: ["native/memory/", "native/model/", "native/kernels/", "native/core/"] },
  {
    from: "native/cuda/",
    values: ["native/decode/", "native/memory/", "native/model/", "native/kernels/", "native/core/"],
  },
  { from: "native/addon/", values: ["native/"] },
  { from: "native/index.d.ts", values: [] },
  // Product code imports neither of these.
  { from: "scripts/", values: ["package.json"] },
  { from: "scripts/golden/", values: ["engine/", "test/"], types: [surface] },
  { from: "test/", values: ["engine/", "extension/", "media/", "native/", "scripts/", "words/", "package.json"] },
];

/** Packages, builtins and headers that only some may import. */
const reserved: { to: RegExp; only: string[] }[] = [
  { to: /^vscode$/, only: ["extension/"] },
  { to: /^(napi|node_api|js_native_api|node|uv|v8)\.h$/, only: ["native/addon/"] },
  { to: /^(cuda|cublas|cutlass|nvrtc)[\w/]*\.(h|cuh)$/, only: ["native/kernels/cuda/", "native/cuda/"] },
  { to: /^(immintrin|x86intrin|arm_neon)\.h$/, only: ["native/kernels/cpu/", "native/core/thread_pool.cpp", "test/"] },
  { to: /^(gtest|gmock)\//, only: ["test/native/"] },
];
/** Folders of functions from values to values: no disk, clock, network or process. */
const pure = ["engine/plan/", "engine/cite/", "engine/render/", "words/", "engine/protocol.ts", "engine/errors.ts"];
const purePackages = /^node:(path|crypto|util|assert|buffer)(\/|$)/;

const folders = ["engine", "extension", "media", "native", "scripts", "test", "words"];

const fits = (file: string, pattern: string): boolean =>
  pattern.endsWith("/") ? file.startsWith(pattern) : file === pattern;

/** The folder that belongs to a rule: what lies in it may import what lies in it. */
const own = (rule: Rule): string => (rule.from.endsWith("/") ? rule.from : "");

function judge({ from, to, typesOnly }: Arrow): string | undefined {
  const inside = folders.some((folder) => to.startsWith(`${folder}/`)) || to === "package.json";
  if (!inside) {
    const border = reserved.find((entry) => entry.to.test(to));
    if (border && !border.only.some((pattern) => fits(from, pattern)))
      return `${from} → ${to}: only ${border.only.join(", ")}`;
    const leavesValues = to.startsWith("node:") && !purePackages.test(to) && !typesOnly;
    if (leavesValues && pure.some((pattern) => fits(from, pattern))) return `${from} → ${to}: this folder is pure`;
    return undefined;
  }
  const rule = rules.filter((entry) => fits(from, entry.from)).sort((a, b) => b.from.length - a.from.length)[0];
  if (rule === undefined) return `${from}: no rule`;
  // In engine/ itself the files are neighbours, not a unit: each needs its arrow.
  const allowed = [
    ...rule.values,
    ...(rule.from === "engine/" ? [] : [own(rule)]),
    ...(typesOnly ? (rule.types ?? []) : []),
  ];
  if (allowed.some((pattern) => pattern !== "" && fits(to, pattern))) return undefined;
  return `${from} → ${to}${typesOnly ? " (types)" : ""}: not drawn`;
}

const violations = (arrows: Arrow[]): string[] => arrows.flatMap((arrow) => judge(arrow) ?? []);

/** Violations in a tree of the given files, written to a folder of its own. */
function violationsOf(files: Record<string, string>): string[] {
  const root = mkdtempSync(path.join(tmpdir(), "quire-imports-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
      writeFileSync(path.join(root, name), text);
    }
    return violations(readArrows(root, folders));
  } finally {
    rmSync(root, { recursive: true });
  }
}

describe("imports and includes", () => {
  it("follow the arrows of ARCHITECTURE.md", () => {
    const arrows = readArrows(path.join(import.meta.dirname, ".."), folders);
    assert.ok(arrows.length > 100, `only ${arrows.length} arrows found: the reader is broken`);
    assert.deepEqual(violations(arrows), []);
  });

  const forbidden: [string, string, string][] = [
    ["a leaf that imports", "engine/protocol.ts", 'import { QuireError } from "./errors.ts";'],
    ["a stage that calls another", "engine/plan/plan.ts", 'import { collect } from "../collect/collect.ts";'],
    [
      "a stage that calls another, over lines",
      "engine/plan/plan.ts",
      'import {\n  type A,\n  collect,\n} from "../collect/collect.ts";',
    ],
    ["a stage that exports another's functions", "engine/plan/plan.ts", 'export * from "../collect/collect.ts";'],
    ["a stage that loads another lazily", "engine/plan/plan.ts", 'const x = await import("../collect/collect.ts");'],
    ["a stage that knows the native part", "engine/plan/plan.ts", 'import { native } from "../native.ts";'],
    ["a plan that reads the disk", "engine/plan/plan.ts", 'import { readFile } from "node:fs/promises";'],
    ["a client that looks behind the protocol", "engine/cli/ask.ts", 'import { plan } from "../plan/plan.ts";'],
    [
      "an extension that looks behind the protocol",
      "extension/main.ts",
      'import type { Plan } from "../engine/plan/plan.ts";',
    ],
    ["vscode outside the extension", "engine/collect/collect.ts", 'import * as vscode from "vscode";'],
    ["product code that imports scripts", "engine/main.ts", 'import { root } from "../scripts/layout.mjs";'],
    ["product code that imports tests", "engine/cli/ask.ts", 'import "../../test/engine/tiny.ts";'],
    ["napi.h below the addon", "native/decode/generate.cpp", "#include <napi.h>"],
    ["core that knows kernels", "native/core/half.h", '#include "native/kernels/ops.h"'],
    ["core that knows kernels, by a relative path", "native/core/half.h", '#include "../kernels/ops.h"'],
    ["kernels that know a model", "native/kernels/cpu/rows.cpp", '#include "native/model/model.h"'],
    ["a model that knows memory", "native/model/model.h", '  #  include "native/memory/memory.h"'],
  ];
  for (const [what, file, text] of forbidden) {
    it(`report ${what}`, () => assert.equal(violationsOf({ [file]: `// a file\n${text}\n` }).length, 1));
  }

  const allowed: [string, string, string][] = [
    ["types of another stage", "engine/plan/plan.ts", 'import type { SourceFile } from "../collect/types.ts";'],
    [
      "types of another stage, one by one",
      "engine/plan/plan.ts",
      'import { type A, type B } from "../collect/types.ts";',
    ],
    ["a neighbour in the folder", "engine/plan/plan.ts", 'import { value } from "./value.ts";'],
    ["the protocol in a client", "engine/cli/ask.ts", 'import { methods } from "../protocol.ts";'],
    [
      "words about imports in a comment",
      "engine/protocol.ts",
      '// it must not import "./errors.ts" from "./errors.ts"',
    ],
    ["napi.h in the addon", "native/addon/addon.cpp", "#include <napi.h>"],
  ];
  for (const [what, file, text] of allowed) {
    it(`allow ${what}`, () => assert.deepEqual(violationsOf({ [file]: text }), []));
  }
});
