// start-up.test.ts — what the editor pays for an extension that nobody uses: the time to load and activate it, and its size.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..", "..");
const dist = (name: string): string => path.join(root, "dist", name);
const bytes = (name: string): number => statSync(dist(name)).size;

/** Loads and activates the bundle in a Node of its own, where all that `vscode` has can be called. Milliseconds, and modules loaded. */
const program = `
  const Module = require("node:module");
  const anything = new Proxy(function () {}, {
    get: (_, key) => (key === "then" ? undefined : key === Symbol.toPrimitive ? () => "" : anything),
    set: () => true, apply: () => anything, construct: () => anything,
  });
  const names = ["window", "workspace", "commands", "languages", "StatusBarAlignment", "MarkdownString", "CodeActionKind"];
  const vscode = Object.fromEntries(names.map((name) => [name, anything]));
  const loaded = [];
  const load = Module._load;
  Module._load = (name, ...rest) => (loaded.push(name), name === "vscode" ? vscode : load(name, ...rest));
  const began = performance.now();
  const { activate } = require(process.argv[1]);
  const context = { subscriptions: [], extension: { id: "quire.quire" } };
  activate(context);
  const ms = performance.now() - began;
  process.stdout.write(JSON.stringify({ ms, loaded, held: context.subscriptions.length }));
  process.exit();
`;

function startUp(): { ms: number; loaded: string[]; held: number } {
  return JSON.parse(execFileSync(process.execPath, ["-e", program, dist("extension.cjs")], { encoding: "utf8" }));
}

describe("the extension's start-up", function () {
  this.timeout(60_000);
  before(function () {
    if (!existsSync(dist("extension.cjs"))) this.skip();
  });

  it("takes at most 30 ms in plain Node, and loads nothing of the engine, the panel or the talk", () => {
    const runs = Array.from({ length: 7 }, startUp);
    const times = runs.map(({ ms }) => ms).sort((a, b) => a - b);
    console.log(`      ${times.map((ms) => ms.toFixed(1)).join(", ")} ms`);
    // The machine may be busy with other things: what Quire itself costs is seen in the best run.
    assert.ok((times[0] ?? Number.POSITIVE_INFINITY) <= 30, `${times[0]} ms`);
    for (const { loaded, held } of runs) {
      assert.deepEqual([...new Set(loaded)].sort(), [dist("extension.cjs"), "vscode"]);
      assert.ok(held > 15, `only ${held} things were registered`);
    }
  });

  it("is of bundles that hold at most 300 KB together", () => {
    const sizes = ["extension.cjs", "parts.cjs"].map(bytes);
    console.log(`      ${sizes.map((size) => `${(size / 1000).toFixed(1)} KB`).join(" at start-up, ")} when used`);
    assert.ok(sizes.reduce((sum, size) => sum + size) <= 300_000);
  });
});
