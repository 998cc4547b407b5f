// build-tools.mjs — what builds C++: CMake and Ninja from the machine or from wheels, and how many compilers run at once.
import { availableParallelism } from "node:os";
import { delimiter, dirname } from "node:path";
import { fromWheel } from "./wheels.mjs";

/** CMake, Ninja and the compiler as full paths, from the machine or from wheels; takes what checkPrerequisites found. */
export async function buildTools(found) {
  const cmake = found.cmake ?? (await fromWheel("cmake", found.python));
  const ninja = found.ninja ?? (await fromWheel("ninja", found.python));
  const env = { ...process.env, PATH: [dirname(ninja), dirname(cmake), process.env.PATH].join(delimiter) };
  return { cmake, ninja, compiler: found.compiler, env };
}

/** How many compilers run at once: two suffice on a small machine, and a large one keeps some cores for its user. */
export const jobs = Math.min(8, Math.max(2, availableParallelism() - 1));
