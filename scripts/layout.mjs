// layout.mjs — where things lie: sources, what is built from them, and the per-user cache of tools.
//
// Every script takes its paths from here. Nothing outside the checkout is written but the cache folder.
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const native = join(root, "native");
export const nodeModules = join(root, "node_modules");
/** CMake's tree of the addon; `Release/quire.node` in it is what the engine loads. */
export const build = join(root, "build");
export const addon = join(build, "Release", "quire.node");
/** CMake's tree of the native tests. */
export const testBuild = join(build, "tests");
/** The bundles, with the files that they find by package name in a node_modules of their own. */
export const dist = join(root, "dist");

/** The per-user cache folder of Quire (models and memories have folders of their own in it). */
export function cacheFolder(env = process.env, platform = process.platform) {
  if (env.QUIRE_CACHE) return env.QUIRE_CACHE;
  if (platform === "win32") return join(env.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "quire");
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "quire");
  return join(env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "quire");
}
