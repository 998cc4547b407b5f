// addon.mjs — builds native/ into build/Release/quire.node when its sources changed.
//
// cmake-js configures CMake with Node-API's headers from the package node-api-headers (native/package.json's
// binary.napi_versions tells it so), so no headers are downloaded.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { buildTools, jobs } from "./build-tools.mjs";
import { addonSources, crossAddon } from "./cross-addon.mjs";
import { addon, build, native, root } from "./layout.mjs";
import { dropStamp, hashOf, readStamp, writeStamp } from "./stamps.mjs";
import { run, Stop, step } from "./steps.mjs";
import { thisTarget } from "./targets.mjs";

const stampFile = join(build, ".stamps", "addon");

function wanted() {
  return hashOf(
    [...addonSources(), join(root, "package-lock.json")],
    [process.platform, process.arch, process.env.CXX ?? ""],
  );
}

export function addonReady() {
  return existsSync(addon) && readStamp(stampFile) === wanted();
}

/** Drops what CMake knows about compilers and tools, and keeps the objects. */
function forgetMachine() {
  rmSync(join(build, "CMakeCache.txt"), { force: true });
  const files = join(build, "CMakeFiles");
  const found = existsSync(files) ? readdirSync(files).filter((name) => /^\d/.test(name)) : [];
  for (const name of found) rmSync(join(files, name), { recursive: true });
}

/** Whether the tree was configured with this compiler and CMake in this place; else CMake would refuse or mix them up. */
function configuredWith(cmake, compiler) {
  const cache = readStamp(join(build, "CMakeCache.txt")) ?? "";
  const has = (name, value) => new RegExp(`^${name}:\\w+=(.*)$`, "m").exec(cache)?.[1] === value;
  return has("CMAKE_CXX_COMPILER", compiler) && has("CMAKE_COMMAND", cmake) && has("CMAKE_HOME_DIRECTORY", native);
}

export async function buildAddon(found) {
  const want = wanted();
  if (existsSync(addon) && readStamp(stampFile) === want) return;
  dropStamp(stampFile);
  if (process.platform === "win32") {
    // There is no compiler to be relied on; Zig makes what the package ships anyway.
    mkdirSync(dirname(addon), { recursive: true });
    copyFileSync(await crossAddon(thisTarget), addon);
    return writeStamp(stampFile, want);
  }
  const { cmake, compiler, ninja, env } = await buildTools(found);
  await step("building the engine's native part", async () => {
    const cmakeJs = join(
      dirname(createRequire(join(root, "package.json")).resolve("cmake-js/package.json")),
      "bin",
      "cmake-js",
    );
    const tree = [
      "-d",
      native,
      "-O",
      build,
      "-B",
      "Release",
      "-G",
      "Ninja",
      "-c",
      cmake,
      "--cc",
      compiler,
      "--cxx",
      compiler,
    ];
    const options = [...tree, `--CDCMAKE_MAKE_PROGRAM=${ninja}`, "-l", "warn"];
    const call = (command, ...more) =>
      run(process.execPath, [cmakeJs, command, ...options, ...more], { cwd: root, env });
    if (!configuredWith(cmake, compiler)) forgetMachine();
    try {
      await call("configure");
      await call("build", "-p", String(jobs));
    } catch (error) {
      // What CMake found out about the machine may be what went wrong (a tool missing then and there now, another compiler).
      forgetMachine();
      throw error;
    }
    if (!existsSync(addon)) throw new Stop(`the build made no ${addon}`);
  });
  writeStamp(stampFile, want);
}
