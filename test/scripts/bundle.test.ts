// bundle.test.ts — what is built runs in a folder with neither checkout nor node_modules beside it, as an extension is installed.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { z } from "zod";
import { entries } from "../../scripts/bundle.mjs";
import { addon, dist } from "../../scripts/layout.mjs";

const report = z.object({
  backends: z.array(z.object({ name: z.string(), usable: z.boolean() })),
  tools: z.array(z.object({ name: z.string(), found: z.boolean() })),
  missing: z.array(z.string()),
});

describe("the bundles, away from the checkout", () => {
  let folder: string;
  before(function () {
    if (!Object.keys(entries).every((name) => existsSync(path.join(dist, name))) || !existsSync(addon)) this.skip();
    folder = realpathSync(mkdtempSync(path.join(tmpdir(), "quire-installed-")));
    cpSync(dist, path.join(folder, "dist"), { recursive: true });
    cpSync(addon, path.join(folder, "build", "Release", "quire.node"));
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  it("start the engine, load the addon and find ripgrep", () => {
    const cli = path.join(folder, "dist", "cli.cjs");
    const env = { PATH: process.env.PATH, QUIRE_HOME: path.join(folder, "home") };
    const { stdout, stderr } = spawnSync(process.execPath, [cli, "doctor", "--json"], {
      cwd: folder,
      env,
      encoding: "utf8",
    });
    assert.equal(stderr, "");
    const found = report.parse(JSON.parse(stdout));
    assert.ok(found.backends.some(({ name, usable }) => name === "cpu plain" && usable));
    assert.ok(found.tools.some((tool) => tool.name === "rg" && tool.found));
    // The folder has no model yet; nothing else is missing.
    assert.equal(found.missing.length, 1);
    assert.match(found.missing[0] ?? "", /model/);
  });

  it("find the grammars beside them", () => {
    const require = createRequire(path.join(folder, "dist", "engine.cjs"));
    for (const name of [
      "web-tree-sitter/web-tree-sitter.wasm",
      "@vscode/tree-sitter-wasm/wasm/tree-sitter-typescript.wasm",
    ]) {
      assert.ok(require.resolve(name).startsWith(path.join(folder, "dist")), name);
    }
  });
});
