// vsix.mjs — packs the extension with vsce: for this machine from what is built here, for a named target by cross-compiling.
//
//   npm run package                      package/quire-<version>.vsix, the addon as this machine's compiler makes it
//   npm run package -- --target <name>   package/quire-<version>-<target>.vsix, the addon compiled by Zig; all: every target
// Which files go in is .vscodeignore's to say: they are copied to a folder of their own, with the target's addon and ripgrep in
// place of ours, and packed there. A file that is needed and missing, or present and not one of ours, fails the packing.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { newestGlibc, systemOf } from "./binary.mjs";
import { entries } from "./bundle.mjs";
import { crossAddon } from "./cross-addon.mjs";
import { cudaAddonReady } from "./cuda-addon.mjs";
import { addon, nodeModules, root } from "./layout.mjs";
import { fetchPackage } from "./npm.mjs";
import { compareVersions } from "./prerequisites.mjs";
import { makeReady } from "./ready.mjs";
import { dropStamp, hashOf, readStamp, writeStamp } from "./stamps.mjs";
import { run, Stop, step } from "./steps.mjs";
import { namedTargets, targets, thisTarget } from "./targets.mjs";
import { zipEntries } from "./zip.mjs";

const folder = join(root, "package");
const addonPath = "build/Release/quire.node";
/** Made by `npm run build:cuda`; a package for another system goes without. */
const cudaAddonPath = "build/Release/quire-cuda.node";
/** More would be a mistake: a model, a debug build, source maps. */
const largestBytes = 40 * 1024 * 1024;

/** Debian 10 and RHEL 8 have it; the same as VS Code's own floor. */
const newestGlibcAllowed = "2.28";

/** What an installed extension cannot do without. */
const needed = (target) => [
  "package.json",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
  addonPath,
  "dist/ThirdPartyNotices.txt",
  "dist/panel.css",
  "dist/node_modules/web-tree-sitter/web-tree-sitter.wasm",
  `dist/node_modules/@vscode/ripgrep-${target}/bin/${targets[target]?.rg ?? "rg"}`,
  ...Object.keys(entries).map((name) => `dist/${name}`),
];

/** The manifest as it is installed: nothing of how it was built. */
function installedManifest(text) {
  const { private: _, scripts, bin, dependencies, devDependencies, ...manifest } = JSON.parse(text);
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** Markdown that stands alone: links and pictures that lie in the checkout become their words. */
export const withoutCheckoutLinks = (text) =>
  text.replace(/^!\[[^\]]*\]\((?!https?:)[^)]*\)\n?/gm, "").replace(/!?\[([^\]]*)\]\((?!https?:|#)[^)]*\)/g, "$1");

/** The paths below `folder` that a pattern names; a `*` stands for any part of one name. */
function matching(folder, [head, ...rest], before = "") {
  const name = new RegExp(`^${head.replaceAll(".", "\\.").replaceAll("*", ".*")}$`);
  return readdirSync(join(folder, before), { withFileTypes: true }).flatMap((entry) => {
    const path = before + entry.name;
    if (!name.test(entry.name)) return [];
    if (rest.length > 0) return entry.isDirectory() ? matching(folder, rest, `${path}/`) : [];
    return entry.isFile() ? [path] : [];
  });
}

/** The paths that .vscodeignore lets in, less ripgrep, which comes per target. */
function allowedFiles() {
  const lines = readFileSync(join(root, ".vscodeignore"), "utf8").split("\n");
  const patterns = lines.filter((line) => line.startsWith("!")).map((line) => line.slice(1).split("/"));
  return patterns.flatMap((pattern) => matching(root, pattern)).filter((path) => !path.includes("/ripgrep-"));
}

/** The files of a package for `target`: path in the extension → file to copy, or { text }. */
async function contents(target, addonFile) {
  const files = new Map(allowedFiles().map((path) => [path, join(root, path)]));
  files.set(addonPath, addonFile);
  const name = `@vscode/ripgrep-${target}`;
  const own = join(nodeModules, name);
  const version = JSON.parse(readFileSync(join(nodeModules, "@vscode", "ripgrep", "package.json"), "utf8")).version;
  const ripgrep = existsSync(own) ? own : await fetchPackage(name, version);
  for (const path of ["package.json", `bin/${targets[target]?.rg ?? "rg"}`])
    files.set(`dist/node_modules/${name}/${path}`, join(ripgrep, path));
  if (target in targets) checkBinaries(target, addonFile, join(ripgrep, "bin", targets[target].rg));
  const cuda = files.has(cudaAddonPath) ? readFileSync(files.get(cudaAddonPath)) : undefined;
  const refused = cuda === undefined || systemOf(cuda) !== target ? "" : refusedCuda(cuda, addonFile);
  if (refused) process.stdout.write(`without the CUDA backend: ${refused}\n`);
  if (refused !== undefined) files.delete(cudaAddonPath);
  const missing = needed(target).filter((path) => !files.has(path) || !existsSync(files.get(path)));
  if (missing.length > 0) throw new Stop(`the package would lack ${missing.join(", ")}`);
  return new Map([...files].sort());
}

/** Why the CUDA addon built here for this target cannot go along; undefined: it can. */
function refusedCuda(bytes, addonFile) {
  if (!cudaAddonReady()) return "the one built here is older than its sources; npm run build:cuda renews it";
  return addonFile === addon ? undefined : tooNew(bytes);
}

/** What a package for old systems cannot have, in words; undefined: it asks for no newer glibc than they have. */
function tooNew(bytes) {
  const glibc = newestGlibc(bytes);
  if (glibc === undefined || compareVersions(glibc, newestGlibcAllowed) <= 0) return undefined;
  return `it needs glibc ${glibc}, newer than ${newestGlibcAllowed}`;
}

/** Binaries of the target, and an addon that old systems can load; the one built here for this machine may ask for more. */
function checkBinaries(target, addonFile, rg) {
  for (const file of [addonFile, rg]) {
    const system = systemOf(readFileSync(file));
    if (system !== target) throw new Stop(`${file} is for ${system ?? "no system we know"}, not for ${target}`);
  }
  const refused = addonFile === addon ? undefined : tooNew(readFileSync(addonFile));
  if (refused !== undefined) throw new Stop(`${addonFile}: ${refused}`);
}

function stage(files, place) {
  rmSync(place, { recursive: true, force: true });
  for (const [path, source] of files) {
    const to = join(place, path);
    mkdirSync(dirname(to), { recursive: true });
    if (path === "package.json") writeFileSync(to, installedManifest(readFileSync(source, "utf8")));
    else if (/^[^/]*\.md$/.test(path)) writeFileSync(to, withoutCheckoutLinks(readFileSync(source, "utf8")));
    else cpSync(source, to);
  }
  cpSync(join(root, ".vscodeignore"), join(place, ".vscodeignore"));
}

/** vsce's own names for three of our files. */
const renamed = { "README.md": "readme.md", "CHANGELOG.md": "changelog.md", LICENSE: "LICENSE.txt" };

/** What is in the VSIX must be what we put there. Returns its entries. */
async function checkVsix(vsix, files) {
  const found = await zipEntries(vsix);
  const want = new Set([...files.keys()].map((path) => `extension/${renamed[path] ?? path}`));
  const extra = found.filter(
    ({ path }) => !want.delete(path) && !/^(extension\.vsixmanifest|\[Content_Types\]\.xml)$/.test(path),
  );
  if (extra.length > 0)
    throw new Stop(`the package has what it should not: ${extra.map(({ path }) => path).join(", ")}`);
  if (want.size > 0) throw new Stop(`the package lacks ${[...want].join(", ")}`);
  const bytes = found.reduce((sum, entry) => sum + entry.packedBytes, 0);
  if (bytes > largestBytes) throw new Stop(`the package has ${bytes} bytes, more than ${largestBytes}`);
  return found;
}

async function pack(target, files, vsix) {
  const place = join(folder, `stage-${target}`);
  stage(files, place);
  const draft = join(folder, `draft-${process.pid}.vsix`);
  try {
    const vsce = join(nodeModules, "@vscode", "vsce", "vsce");
    const args = [vsce, "package", "--target", target, "--no-dependencies", "--out", draft];
    await run(process.execPath, args, { cwd: place });
    await checkVsix(draft, files);
    renameSync(draft, vsix);
  } finally {
    rmSync(draft, { force: true });
    rmSync(place, { recursive: true, force: true });
  }
}

/**
 * Makes the VSIX if it is not up to date, and returns its path. Without a target: for this machine, with the addon that is
 * built here anyway.
 */
export async function ensurePackage(target) {
  await makeReady(target === undefined ? undefined : ["packages", "bundle"]);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const addonFile = target === undefined ? addon : await crossAddon(target);
  const files = await contents(target ?? thisTarget, addonFile);
  const vsix = join(folder, `quire-${version}${target === undefined ? "" : `-${target}`}.vsix`);
  const stamp = join(folder, ".stamps", relative(folder, vsix));
  const want = hashOf([...files.values(), join(root, "scripts", "vsix.mjs"), join(root, ".vscodeignore")]);
  if (existsSync(vsix) && readStamp(stamp) === want) return vsix;
  mkdirSync(folder, { recursive: true });
  dropStamp(stamp);
  await step(`packing the extension for ${target ?? `this machine (${thisTarget})`}`, () =>
    pack(target ?? thisTarget, files, vsix),
  );
  writeStamp(stamp, want);
  return vsix;
}

const mebibytes = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** The package's size and parts, largest first; parts are files, and folders of packages. */
async function summary(vsix) {
  const entries = await zipEntries(vsix);
  const parts = new Map();
  for (const { path, bytes } of entries) {
    const name = /^extension\/dist\/node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path;
    parts.set(name, (parts.get(name) ?? 0) + bytes);
  }
  const lines = [...parts]
    .sort((a, b) => b[1] - a[1])
    .map(([name, bytes]) => `  ${mebibytes(bytes).padStart(9)}  ${name}`);
  const packed = entries.reduce((sum, entry) => sum + entry.packedBytes, 0);
  return `${relative(root, vsix)}: ${entries.length} files, ${mebibytes(packed)} packed\n${lines.join("\n")}\n`;
}

export async function main(args) {
  const [flag, name, ...rest] = args;
  if (rest.length > 0 || (flag !== undefined && flag !== "--target"))
    throw new Stop("usage: npm run package [-- --target NAME]");
  for (const target of flag === undefined ? [undefined] : namedTargets(name ?? ""))
    process.stdout.write(await summary(await ensurePackage(target)));
}
