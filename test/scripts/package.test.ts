// package.test.ts — the VSIX holds what it should and nothing else, and works where there is only a model: no checkout, no
// node_modules, no network.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { z } from "zod";
import { cudaAddonReady } from "../../scripts/cuda-addon.mjs";
import { root } from "../../scripts/layout.mjs";
import { thisTarget } from "../../scripts/targets.mjs";
import { ensurePackage, withoutCheckoutLinks } from "../../scripts/vsix.mjs";
import { unzip, zipEntries } from "../../scripts/zip.mjs";
import { fetchedModel } from "../models/fetched-model.ts";

const answer = z.object({
  answer: z.string().min(1),
  citations: z.array(z.object({ path: z.string(), line: z.int() })),
  documents: z.array(z.object({ path: z.string() })),
  stats: z.object({ backend: z.string().min(1), decodedTokens: z.int().positive() }),
});

/** Runs with no network but, on Linux as root, really none at all: not even 127.0.0.1. */
function withoutNetwork(command: string, args: string[]): [string, string[]] {
  const none = process.platform === "linux" && spawnSync("unshare", ["-n", "true"]).status === 0;
  return none ? ["unshare", ["-n", command, ...args]] : [command, args];
}
const nowhere = Object.fromEntries(
  ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].map((name) => [name, "http://127.0.0.1:9"]),
);

describe("the package", function () {
  this.timeout(180_000);
  let vsix: string;
  let folder: string;
  before(async () => {
    vsix = await ensurePackage();
    folder = mkdtempSync(path.join(tmpdir(), "quire-package-"));
    await unzip(vsix, folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("holds the files that an installed extension needs, and no others", async () => {
    const grammars = readFileSync(path.join(root, "engine", "outline", "grammars.ts"), "utf8");
    const named = new Set([...grammars.matchAll(/^ {2}\w+: "([\w-]+)"/gm)].map(([, name]) => name));
    const rg = process.platform === "win32" ? "rg.exe" : "rg";
    const expected = [
      "[Content_Types].xml",
      "extension.vsixmanifest",
      "extension/LICENSE.txt",
      "extension/build/Release/quire.node",
      // Where `npm run build:cuda` has run, its addon goes along.
      ...(cudaAddonReady() ? ["extension/build/Release/quire-cuda.node"] : []),
      "extension/changelog.md",
      ...["ThirdPartyNotices.txt", "cli.cjs", "codicon.ttf", "engine.cjs", "extension.cjs", "parts.cjs"].map(
        (f) => `extension/dist/${f}`,
      ),
      ...["panel.css", "panel.js", "tokenize-worker.cjs"].map((name) => `extension/dist/${name}`),
      `extension/dist/node_modules/@vscode/ripgrep-${thisTarget}/bin/${rg}`,
      `extension/dist/node_modules/@vscode/ripgrep-${thisTarget}/package.json`,
      "extension/dist/node_modules/@vscode/tree-sitter-wasm/package.json",
      ...[...named].map((name) => `extension/dist/node_modules/@vscode/tree-sitter-wasm/wasm/tree-sitter-${name}.wasm`),
      "extension/dist/node_modules/web-tree-sitter/package.json",
      "extension/dist/node_modules/web-tree-sitter/web-tree-sitter.wasm",
      ...readdirSync(path.join(root, "media", "icons")).map((name) => `extension/media/icons/${name}`),
      "extension/package.json",
      "extension/package.nls.json",
      "extension/readme.md",
    ];
    const found = (await zipEntries(vsix)).map((entry: { path: string }) => entry.path);
    assert.deepEqual(found.toSorted(), expected.toSorted());
  });

  it("names in its manifest only files that it holds", () => {
    const installed = path.join(folder, "extension");
    const manifest = z
      .looseObject({ main: z.string(), icon: z.string().optional() })
      .parse(JSON.parse(readFileSync(path.join(installed, "package.json"), "utf8")));
    const files = [manifest.main, manifest.icon, ...(JSON.stringify(manifest).match(/media\/[\w/.-]+/g) ?? [])];
    for (const file of files) assert.ok(file === undefined || existsSync(path.join(installed, file)), file);
    for (const gone of ["scripts", "dependencies", "devDependencies", "private", "bin"])
      assert.ok(!(gone in manifest), gone);
  });

  it("answers with citations and a backend, having only a model and no network", async () => {
    const home = path.join(folder, "home");
    const models = path.join(home, ".local", "share", "quire", "models");
    mkdirSync(path.dirname(models), { recursive: true, mode: 0o700 });
    symlinkSync(path.dirname(await fetchedModel("smollm2-135m")), models, "junction");
    const workspace = path.join(folder, "workspace");
    mkdirSync(workspace);
    // A small real repository: this one's scripts about stamps and locks.
    for (const name of ["stamps.mjs", "lock.mjs", "steps.mjs"])
      writeFileSync(path.join(workspace, name), readFileSync(path.join(root, "scripts", name)));
    const cli = path.join(folder, "extension", "dist", "cli.cjs");
    const args = ["ask", "Which function in `lock.mjs` takes the lock?", "--root", workspace, "--json"];
    const [command, all] = withoutNetwork(process.execPath, [
      cli,
      ...args,
      "--model",
      "smollm2-135m",
      "--max-tokens",
      "24",
    ]);
    const { status, stdout, stderr } = spawnSync(command, all, {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: home, USERPROFILE: home, QUIRE_HOME: path.dirname(models), ...nowhere },
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
    const result = answer.parse(JSON.parse(stdout));
    assert.ok(result.documents.some((document) => document.path.endsWith("lock.mjs")));
  });
});

describe("a README that is packed", () => {
  it("keeps its words and loses what points into the checkout", () => {
    const text =
      "![The panel](docs/panel.png)\nSee [the map](ARCHITECTURE.md), [below](#use) or [Zig](https://example.org).\n";
    assert.equal(withoutCheckoutLinks(text), "See the map, [below](#use) or [Zig](https://example.org).\n");
  });
});
