// npm.mjs — runs npm quietly: the one that runs us, the one beside this Node, or the one on the PATH.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder } from "./layout.mjs";
import { run, step } from "./steps.mjs";

/** `npm <args>`; what npm printed is in the Stop if it fails. `node` is the Node that npm runs in. */
export function runNpm(args, { node = process.execPath, ...options } = {}) {
  const cli = [
    process.env.npm_execpath,
    join(dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js"),
    join(dirname(process.execPath), "node_modules/npm/bin/npm-cli.js"),
  ].find((path) => path?.endsWith("npm-cli.js") && existsSync(path));
  const all = [...args, "--no-audit", "--no-fund", "--loglevel=error"];
  return cli ? run(node, [cli, ...all], options) : run("npm", all, options);
}

/** The folder of a package, in the cache folder, whatever system it is for; nothing of it is run. */
export async function fetchPackage(name, version) {
  const folder = join(cacheFolder(), "npm", `${name.replace("/", "+")}-${version}`);
  const there = join(folder, "node_modules", name);
  if (existsSync(there)) return there;
  mkdirSync(dirname(folder), { recursive: true });
  const draft = mkdtempSync(join(dirname(folder), "draft-"));
  try {
    await step(`fetching ${name} ${version}`, () =>
      runNpm(["install", "--prefix", draft, "--force", "--ignore-scripts", "--no-save", `${name}@${version}`], {
        cwd: draft,
      }),
    );
    rmSync(folder, { recursive: true, force: true });
    renameSync(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return there;
}
