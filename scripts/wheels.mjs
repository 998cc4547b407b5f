// wheels.mjs — tools from pinned Python wheels: CMake, Ninja, clang-format, Zig. Installed into the cache folder, one folder per
// version, never into the checkout or the user's Python.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder } from "./layout.mjs";
import { run, Stop, step } from "./steps.mjs";

const wheels = {
  ziglang: { version: "0.17.1", places: ["ziglang/zig", "ziglang/zig.exe"] },
  cmake: { version: "4.4.4", places: ["cmake/data/bin/cmake"] },
  ninja: { version: "1.13.2", places: ["bin/ninja", "ninja/data/bin/ninja"] },
  "clang-format": { version: "23.1.3", places: ["clang_format/data/bin/clang-format"] },
};

function programIn(folder, places) {
  return places.map((place) => join(folder, place)).find((path) => existsSync(path));
}

/** Unpacks pinned wheels, `name==version` each, without what they depend on, into a folder that does not exist yet. */
export async function installWheels(python, pinned, folder) {
  const parent = dirname(folder);
  mkdirSync(parent, { recursive: true });
  // Into a folder of its own, then renamed: two runs at once cannot see a half-installed tool.
  const draft = mkdtempSync(join(parent, "draft-"));
  try {
    const quiet = ["--quiet", "--disable-pip-version-check", "--no-input"];
    const options = [...quiet, "--no-deps", "--only-binary=:all:", "--target", draft];
    await run(python, ["-m", "pip", "install", ...options, ...pinned]);
    try {
      renameSync(draft, folder);
    } catch (error) {
      if (!["ENOTEMPTY", "EEXIST"].includes(error.code)) throw error;
    }
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Full path of the program of a wheel; installs it if it is not there. `python` is a python3 with pip. */
export async function fromWheel(name, python) {
  const { version, places } = wheels[name];
  const folder = join(cacheFolder(), "tools", `${name}-${version}`);
  const there = programIn(folder, places);
  if (there) return there;
  if (python === undefined)
    throw new Stop(`${name} is installed from the wheel ${name}==${version}, which needs python3 with pip`);
  return step(`installing ${name} ${version} from its wheel`, async () => {
    await installWheels(python, [`${name}==${version}`], folder);
    const program = programIn(folder, places);
    if (!program) throw new Stop(`the wheel ${name}==${version} has no program at ${places.join(" or ")}`);
    return program;
  });
}
