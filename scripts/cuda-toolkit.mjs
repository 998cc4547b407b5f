// cuda-toolkit.mjs — an nvcc that can build the CUDA backend: the machine's (CUDA ≥ 12.8), else from pinned wheels.
//
// In: the environment and a python3 with pip. Out: the full path of nvcc. The wheels are unpacked into the cache folder, one
// folder for all of them (nvcc looks for its parts beside itself), never into the checkout or the user's Python.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "./layout.mjs";
import { compareVersions, onPath } from "./prerequisites.mjs";
import { run, Stop, step } from "./steps.mjs";
import { installWheels } from "./wheels.mjs";

const oldestCuda = "12.8"; // the first with compute 12.0 and --compress-mode
const version = "13.0.88";
const wheels = [
  `nvidia-cuda-nvcc==${version}`,
  `nvidia-nvvm==${version}`,
  `nvidia-cuda-crt==${version}`,
  "nvidia-cuda-runtime==13.0.96",
  "nvidia-cuda-cccl==13.0.85",
];

/** The release that `nvcc --version` names, or undefined. */
async function releaseOf(nvcc) {
  const { status, output } = await run(nvcc, ["--version"], { allowFailure: true });
  return status === 0 ? /release (\d+\.\d+)/.exec(output)?.[1] : undefined;
}

async function installedNvcc(env) {
  const home = env.CUDA_HOME ?? env.CUDA_PATH;
  const places = [...(home ? [join(home, "bin", "nvcc")] : []), onPath(["nvcc"], env), "/usr/local/cuda/bin/nvcc"];
  for (const nvcc of places) {
    if (nvcc === undefined || !existsSync(nvcc)) continue;
    const release = await releaseOf(nvcc);
    if (release !== undefined && compareVersions(release, oldestCuda) >= 0) return nvcc;
  }
  return undefined;
}

/** Full path of an nvcc; fetches the wheels if the machine has none that is new enough. */
export async function findNvcc(python, env = process.env) {
  const installed = await installedNvcc(env);
  if (installed !== undefined) return installed;
  const folder = join(cacheFolder(), "tools", `cuda-${version}`);
  const nvcc = join(folder, "nvidia", "cu13", "bin", "nvcc");
  if (existsSync(nvcc)) return nvcc;
  if (python === undefined)
    throw new Stop(`CUDA ${oldestCuda} or later is missing, and its wheels need python3 with pip`);
  return step(`installing CUDA's compiler ${version} from its wheels`, async () => {
    await installWheels(python, wheels, folder);
    if (!existsSync(nvcc)) throw new Stop(`the wheels have no compiler at ${nvcc}`);
    return nvcc;
  });
}
