// cuda-addon.mjs — what `npm run build:cuda` does: the second addon file, build/Release/quire-cuda.node.
//
//   --targets 90       compute capabilities instead of all (separated by commas)
//   --kernels          only compiles the kernels: what CI does on a machine without a GPU
//   --tests, --bench   also the test and bench programs, in build/cuda/kernels/cuda
//   --verbose          shows the compilers' output
//
// Works without a GPU: CUDA's compiler comes from the machine or from wheels (cuda-toolkit.mjs).
import { copyFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { buildTools, jobs } from "./build-tools.mjs";
import { findNvcc } from "./cuda-toolkit.mjs";
import { addon, build, native, root } from "./layout.mjs";
import { checkPrerequisites } from "./prerequisites.mjs";
import { run, step } from "./steps.mjs";

/** CMake's tree; another folder where several builds run at once. */
const tree = process.env.QUIRE_CUDA_TREE ?? join(build, "cuda");
/** Compute capabilities that get machine code of their own. 7.5 has no m16n8k16 tile and no asynchronous copies: not cheap. */
export const cudaTargets = ["80", "86", "89", "90", "120"];

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
    QUIRE_CUDA_TARGETS: values.targets?.replaceAll(",", ";") ?? cudaTargets.join(";"),
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
  const wanted = values.kernels ? target("quire_cuda") : values.tests || values.bench ? [] : target("quire-cuda");
  await step("building the CUDA backend", () => call("build", "-p", String(jobs), ...wanted));
  if (values.kernels) return;
  mkdirSync(dirname(addon), { recursive: true });
  copyFileSync(join(tree, "Release", "quire-cuda.node"), join(dirname(addon), "quire-cuda.node"));
}
