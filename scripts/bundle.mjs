// bundle.mjs — the TypeScript of engine, extension and panel as bundles in dist/, with the files they need beside them.
//
// What the bundles look up by package name (grammars, ripgrep) is copied to dist/node_modules, so that the same lookup works
// in the checkout, in dist/ alone and in a packaged extension.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { dist, root } from "./layout.mjs";
import { thirdPartyNotices } from "./notices.mjs";
import { dropStamp, filesUnder, hashOf, readStamp, writeStamp } from "./stamps.mjs";
import { Stop, step } from "./steps.mjs";

/** Bundles that run in Node: name in dist/, and the source that it begins at. */
const nodeEntries = {
  "cli.cjs": "engine/cli/main.ts",
  "engine.cjs": "engine/main.ts",
  "tokenize-worker.cjs": "engine/tokenize/worker.ts",
};
/** Of the editor: minified, and `vscode` comes from it. The first is loaded at its start-up, the second when Quire is first used. */
const extensionEntries = { "extension.cjs": "extension/main.ts", "parts.cjs": "extension/parts.ts" };
/** The panel's webview: a script and its style sheet, panel.js and panel.css. */
const panelEntries = { "panel.js": "media/main.ts" };

export const entries = { ...nodeEntries, ...extensionEntries, ...panelEntries };

const shared = {
  absWorkingDir: root,
  outdir: relative(root, dist),
  bundle: true,
  legalComments: "none", // notices.mjs collects the licences
  metafile: true,
  logLevel: "silent",
};

const points = (group) =>
  Object.entries(group).map(([name, source]) => ({ in: source, out: name.replace(/\.c?js$/, "") }));

/** `import()` of another entry loads its bundle instead of holding it. */
const laterEntries = {
  name: "later entries",
  setup: (build) =>
    build.onResolve({ filter: /^\.{1,2}\// }, ({ kind, resolveDir, path }) => {
      const source = relative(root, join(resolveDir, path)).replaceAll("\\", "/");
      const [name] = Object.entries(extensionEntries).find((entry) => entry[1] === source) ?? [];
      return kind === "dynamic-import" && name !== undefined ? { path: `./${name}`, external: true } : undefined;
    }),
};

/** What esbuild is asked for, one build each. */
export const builds = [
  {
    ...shared,
    entryPoints: points(nodeEntries),
    outExtension: { ".js": ".cjs" },
    platform: "node",
    format: "cjs",
    target: "node20",
    sourcemap: "linked",
    // Sources and packages are ES modules; in a bundle `import.meta.url` is the bundle's own place.
    define: { "import.meta.url": "__bundleUrl" },
    banner: { js: 'const __bundleUrl = require("node:url").pathToFileURL(__filename).href;' },
  },
  {
    ...shared,
    entryPoints: points(extensionEntries),
    outExtension: { ".js": ".cjs" },
    platform: "node",
    format: "cjs",
    target: "node20",
    sourcemap: "linked",
    minify: true,
    external: ["vscode"],
    plugins: [laterEntries],
    // As `require` at its time: the editor's host loads CommonJS.
    supported: { "dynamic-import": false },
  },
  {
    ...shared,
    entryPoints: points(panelEntries),
    platform: "browser",
    format: "iife",
    target: "es2022",
    sourcemap: "linked",
    minify: true,
    loader: { ".ttf": "file" },
    assetNames: "[name]",
    tsconfig: "media/tsconfig.json",
  },
];

/** The grammars that engine/outline/grammars.ts names. */
function grammars() {
  const [, table] = /grammarOf[^{]*\{([^}]*)\}/.exec(readFileSync(join(root, "engine/outline/grammars.ts"), "utf8"));
  const names = [...table.matchAll(/: "([\w-]+)"/g)].map(([, name]) => name);
  return [...new Set(names)].map((name) => `wasm/tree-sitter-${name}.wasm`);
}

/** Files of packages that are read at run time: package, and which of its paths. */
const assets = () => [
  { name: "@vscode/tree-sitter-wasm", paths: ["package.json", ...grammars()] },
  { name: "web-tree-sitter", paths: ["package.json", "web-tree-sitter.wasm"] },
  { name: `@vscode/ripgrep-${process.platform}-${process.arch}`, paths: ["package.json", "bin"] },
];

const stampFile = join(dist, ".stamp");

function wanted() {
  const folders = ["engine", "extension", "media", "words"].flatMap((name) => filesUnder(join(root, name)));
  const sources = [...folders, join(root, "native", "index.d.ts")];
  const settings = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "scripts/bundle.mjs",
    "scripts/notices.mjs",
  ].map((name) => join(root, name));
  return hashOf([...sources, ...settings], [process.platform, process.arch]);
}

export function bundleReady() {
  return readStamp(stampFile) === wanted();
}

/** Makes the next bundle() run. */
export const forgetBundle = () => dropStamp(stampFile);

function copyAssets(require) {
  for (const { name, paths } of assets()) {
    const manifest = require.resolve
      .paths(name)
      ?.map((folder) => join(folder, name))
      .find((folder) => existsSync(folder));
    if (manifest === undefined)
      throw new Stop(`the package ${name} is not installed: is ${process.platform}-${process.arch} supported?`);
    for (const path of paths) cpSync(join(manifest, path), join(dist, "node_modules", name, path), { recursive: true });
  }
}

export async function bundle() {
  const want = wanted();
  if (readStamp(stampFile) === want) return;
  const missing = Object.values(entries).filter((source) => !existsSync(join(root, source)));
  if (missing.length > 0)
    throw new Stop(`cannot bundle: ${missing.join(", ")} ${missing.length > 1 ? "are" : "is"} missing`);
  await step("bundling", async () => {
    const require = createRequire(join(root, "package.json"));
    const { build } = require("esbuild");
    dropStamp(stampFile);
    rmSync(join(dist, "node_modules"), { recursive: true, force: true });
    mkdirSync(dist, { recursive: true });
    const results = await Promise.all(builds.map((options) => build(options).catch((error) => error)));
    const errors = results.flatMap((result) => result.errors ?? []);
    if (errors.length > 0) {
      const lines = errors.map(
        ({ text, location }) => `${location ? `${location.file}:${location.line}: ` : ""}${text}`,
      );
      throw new Stop(`esbuild failed\n${lines.join("\n")}`);
    }
    copyAssets(require);
    const packages = [...assets().map(({ name }) => name), "@vscode/codicons", "node-addon-api"];
    const folders = packages.map((name) => `node_modules/${name}`);
    const metafiles = results.map(({ metafile }) => metafile);
    writeFileSync(join(dist, "ThirdPartyNotices.txt"), thirdPartyNotices(metafiles, folders));
  });
  writeStamp(stampFile, want);
}
