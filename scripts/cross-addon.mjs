// cross-addon.mjs — the addon for a named target, compiled by Zig (a wheel) from any machine: native/zig.cmake.
//
// Zig brings the C and C++ libraries of every target; the first build of a target takes a minute more, for them. Trees are in
// build/cross/<target>. The addon is the same source as the one built here; on ARM it has the plain backend only.
import { existsSync } from "node:fs";
import { join, sep } from "node:path";
import { buildTools, jobs } from "./build-tools.mjs";
import { build, cacheFolder, native, nodeModules, root } from "./layout.mjs";
import { findBuildTools } from "./prerequisites.mjs";
import { dropStamp, filesUnder, hashOf, readStamp, writeStamp } from "./stamps.mjs";
import { run, Stop, step } from "./steps.mjs";
import { targets } from "./targets.mjs";
import { fromWheel } from "./wheels.mjs";

/** What the addon for processors is made of: not the CUDA backend, which goes into an addon of its own. */
export const addonSources = () => {
  const gpu = ["cuda", join("kernels", "cuda")].map((folder) => join(native, folder) + sep);
  return filesUnder(native).filter((path) => !path.endsWith(".d.ts") && !gpu.some((folder) => path.startsWith(folder)));
};

/** Builds the target's addon if its sources changed, and returns its path. */
export async function crossAddon(target) {
  const { zig: triple, system, processor } = targets[target];
  const tree = join(build, "cross", target);
  const made = join(tree, "quire.node");
  const stamp = join(build, ".stamps", `addon-${target}`);
  const others = ["package-lock.json", join("scripts", "wheels.mjs")].map((name) => join(root, name));
  const want = hashOf([...addonSources(), ...others], [triple]);
  if (existsSync(made) && readStamp(stamp) === want) return made;
  const found = await findBuildTools();
  const zig = await fromWheel("ziglang", found.python);
  const tools = await buildTools(found);
  const env = {
    ...tools.env,
    ZIG_GLOBAL_CACHE_DIR: join(cacheFolder(), "zig"),
    ZIG_LOCAL_CACHE_DIR: join(tree, "zig"),
  };
  const headers = join(nodeModules, "node-api-headers");
  const defs = ["js_native_api.def", "node_api.def"].map((name) => join(headers, "def", name));
  const settings = {
    CMAKE_TOOLCHAIN_FILE: join(native, "zig.cmake"),
    CMAKE_MAKE_PROGRAM: tools.ninja,
    QUIRE_ZIG: zig,
    QUIRE_ZIG_TARGET: triple,
    QUIRE_SYSTEM: system,
    QUIRE_PROCESSOR: processor,
    QUIRE_NODE_DEFS: defs.join(";"),
    CMAKE_JS_INC: [join(nodeModules, "node-addon-api"), join(headers, "include")].join(";"),
  };
  const slashes = (path) => path.replaceAll("\\", "/");
  const options = Object.entries(settings).map(([name, value]) => `-D${name}=${slashes(value)}`);
  dropStamp(stamp);
  await step(`building the native part for ${target}`, async () => {
    await run(tools.cmake, ["-S", native, "-B", tree, "-G", "Ninja", ...options], { cwd: root, env });
    await run(tools.cmake, ["--build", tree, "--target", "quire", "--parallel", String(jobs)], { cwd: root, env });
    if (!existsSync(made)) throw new Stop(`the build made no ${made}`);
  });
  writeStamp(stamp, want);
  return made;
}
