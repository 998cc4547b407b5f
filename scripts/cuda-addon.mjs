// cuda-addon.mjs — what `npm run build:cuda` does: the second addon file, build/Release/quire-cuda.node.
//
//   --targets 90       compute capabilities instead of all (separated by commas)
//   --kernels          only compiles the kernels: what CI does on a machine without a GPU
//   --tests, --bench   also the test and bench programs, in build/cuda/kernels/cuda
//   --verbose          shows the compilers' output
//
// Works without a GPU: CUDA's compiler comes from the machine or from wheels (cuda-toolkit.mjs).
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { buildTools, jobs } from "./build-tools.mjs";
import { findNvcc } from "./cuda-toolkit.mjs";
import { addon, build, native, root } from "./layout.mjs";
import { checkPrerequisites } from "./prerequisites.mjs";
import { dropStamp, filesUnder, hashOf, readStamp, writeStamp } from "./stamps.mjs";
import { run, step } from "./steps.mjs";

/** CMake's tree. With a tree of its own (QUIRE_CUDA_TREE) a build stays there, and the checkout's addon is as it was. */
const ownTree = process.env.QUIRE_CUDA_TREE;
const tree = ownTree ?? join(build, "cuda");
const stampFile = join(build, ".stamps", "cuda-addon");
export const cudaAddonFile = join(dirname(addon), "quire-cuda.node");
/** Compute capabilities that get machine code of their own. 7.5 has no m16n8k16 tile and no asynchronous copies: not cheap. */
export const cudaTargets = ["80", "86", "89", "90", "120"];

const wanted = (targets) =>
  hashOf([...filesUnder(native).filter((path) => !path.endsWith(".d.ts")), join(root, "package-lock.json")], targets);

/** Whether the checkout's addon with the CUDA backend is there, made of today's sources for all targets. */
export const cudaAddonReady = () => existsSync(cudaAddonFile) && readStamp(stampFile) === wanted(cudaTargets);

export async function main(args) {
  const { values } = parseArgs({
    args,
    options: {
      targets: { type: "string" },
      kernels: { type: "boolean", default: false },
      tests: { type: "boolean", default: false },
      bench: { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
    },
  });
  const targets = values.targets?.split(",") ?? cudaTargets;
  const want = wanted(targets);
  const found = await checkPrerequisites();
  const { cmake, compiler, ninja, env } = await buildTools(found);
  const nvcc = await findNvcc(found.python);
  const settings = {
    QUIRE_NVCC: nvcc,
    QUIRE_WERROR: "ON",
    QUIRE_TESTS: values.tests ? "ON" : "OFF",
    QUIRE_BENCH: values.bench ? "ON" : "OFF",
    CMAKE_MAKE_PROGRAM: ninja,
    // Always said: CMake would keep what an earlier build was asked for.
    QUIRE_CUDA_TARGETS: targets.join(";"),
  };
  const cmakeJs = join(dirname(createRequire(join(root, "package.json")).resolve("cmake-js/package.json")), "bin");
  const place = ["-d", native, "-O", tree, "-B", "Release", "-G", "Ninja", "-c", cmake, "--cc", compiler];
  const options = [
    ...place,
    "--cxx",
    compiler,
    ...Object.entries(settings).map(([name, value]) => `--CD${name}=${value}`),
    "-l",
    values.verbose ? "verbose" : "warn",
  ];
  const show = values.verbose ? process.stderr : undefined;
  const call = (command, ...more) =>
    run(process.execPath, [join(cmakeJs, "cmake-js"), command, ...options, ...more], { cwd: root, env, show });
  await step("configuring the CUDA backend", () => call("configure"));
  const target = (name) => ["--target", name];
  const goals = values.kernels ? target("quire_cuda") : values.tests || values.bench ? [] : target("quire-cuda");
  await step("building the CUDA backend", () => call("build", "-p", String(jobs), ...goals));
  if (values.kernels || ownTree !== undefined) return;
  mkdirSync(dirname(cudaAddonFile), { recursive: true });
  dropStamp(stampFile);
  copyFileSync(join(tree, "Release", "quire-cuda.node"), cudaAddonFile);
  writeStamp(stampFile, want);
}
