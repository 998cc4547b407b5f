// prerequisites.mjs — what must be on the machine before anything is installed, each found by trying it.
//
// In: the environment. Out: what was found (compiler, CMake, Ninja), or one Stop that names everything missing and how to get it.
// It installs nothing and needs no package.
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { howToGet } from "./how-to-get.mjs";
import { cacheFolder } from "./layout.mjs";
import { hashOf, readStamp, writeStamp } from "./stamps.mjs";
import { run, Stop } from "./steps.mjs";

export const oldestCmake = "3.20";

// What of C++17 and of the system the native part uses; a compiler that is only old fails here and not in the middle of a build.
const probe = `
#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#if defined(__x86_64__)
#include <immintrin.h>
__attribute__((target("avx512f,avx512vnni"))) __m512i dot(__m512i s, __m512i a, __m512i b) { return _mm512_dpbusd_epi32(s, a, b); }
__attribute__((target("avx2,fma,f16c"))) __m256 wide(__m128i h) { return _mm256_cvtph_ps(h); }
#endif
struct alignas(64) Line { std::atomic<long> n{0}; };
template <typename T> constexpr int width() { if constexpr (sizeof(T) > 4) return 8; else return 4; }
int main() {
  auto line = std::make_unique<Line>();
  std::thread worker([&] { line->n += width<double>(); });
  worker.join();
  const std::optional<std::string_view> word = "quire";
  long sum = 0;
  return line->n == 8 && word && !__builtin_add_overflow(1L, 2L, &sum) ? 0 : 1;
}
`;

/** The first of `names` that is an executable file on the PATH, as a full path. */
export function onPath(names, env = process.env) {
  const endings = process.platform === "win32" ? [".exe", ".cmd", ""] : [""];
  for (const name of names) {
    if (name.includes("/") || name.includes("\\")) return name;
    for (const folder of (env.PATH ?? "").split(delimiter).filter(Boolean)) {
      for (const ending of endings) {
        const path = join(folder, name + ending);
        const found = statSync(path, { throwIfNoEntry: false });
        if (found?.isFile() && (process.platform === "win32" || (found.mode & 0o111) !== 0)) return path;
      }
    }
  }
  return undefined;
}

/** -1, 0 or 1 like a comparison of versions such as "3.25.1"; missing parts count as 0. */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split(".").map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < Math.max(left.length, right.length); ++i) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** The version that a tool prints, or undefined when it is not there or does not run. */
export async function versionOf(command, args = ["--version"]) {
  if (command === undefined) return undefined;
  const { status, output } = await run(command, args, { allowFailure: true });
  return status === 0 ? (/\d+(\.\d+)+/.exec(output)?.[0] ?? "0") : undefined;
}

const compilerNames = (env) =>
  env.CXX
    ? [env.CXX]
    : [
        "c++",
        "g++",
        "clang++",
        ...[15, 14, 13, 12, 11, 10, 9].map((n) => `g++-${n}`),
        ...[19, 18, 17, 16, 15].map((n) => `clang++-${n}`),
      ];

/** The line of a compiler's output that says most. */
const complaint = (output) => output.split("\n").find((line) => /error/i.test(line)) ?? output.trim().split("\n")[0];

/**
 * A compiler that really compiles and links C++17, and why others did not. The answer is kept in the cache folder until the
 * compiler's file or the probe changes.
 */
export async function findCompiler(env = process.env) {
  const refused = [];
  for (const name of compilerNames(env)) {
    const path = onPath([name], env);
    if (path === undefined) continue;
    const file = statSync(path, { throwIfNoEntry: false });
    const key = hashOf([], [path, String(file?.size), String(file?.mtimeMs), probe]);
    const stamp = join(cacheFolder(env), "compilers", key.slice(0, 16));
    if (readStamp(stamp) === key) return { path, refused };
    const folder = mkdtempSync(join(tmpdir(), "quire-probe-"));
    try {
      writeFileSync(join(folder, "probe.cpp"), probe);
      const built = await run(path, ["-std=c++17", "-pthread", "probe.cpp", "-o", "probe"], {
        cwd: folder,
        env,
        allowFailure: true,
      });
      const ran = built.status === 0 ? await run(join(folder, "probe"), [], { allowFailure: true }) : built;
      if (ran.status === 0) {
        writeStamp(stamp, key);
        return { path, refused };
      }
      refused.push(
        `${path}: ${complaint(built.status === 0 ? ran.output || "its program does not run" : built.output)}`,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return { path: undefined, refused };
}

/** A python3 with pip, or undefined. */
export async function findPip(env = process.env) {
  for (const name of ["python3", "python"]) {
    const path = onPath([name], env);
    if (path && (await run(path, ["-m", "pip", "--version"], { env, allowFailure: true })).status === 0) return path;
  }
  return undefined;
}

/** Throws one Stop that lists the problems, each with the way to mend it. */
function stopOn(problems) {
  if (problems.length === 0) return;
  const lines = problems.map(({ what, tool }) => `  - ${what}\n    ${howToGet(tool)}`);
  throw new Stop(`something that Quire needs is missing:\n${lines.join("\n")}`);
}

/** CMake and Ninja where they are here and work, and a python3 with pip that can bring them as wheels. */
export async function findBuildTools(env = process.env) {
  const [cmakePath, ninja] = [onPath(["cmake"], env), onPath(["ninja", "ninja-build"], env)];
  const [cmakeVersion, ninjaVersion, python] = await Promise.all([
    versionOf(cmakePath),
    versionOf(ninja),
    findPip(env),
  ]);
  const cmake = cmakeVersion !== undefined && compareVersions(cmakeVersion, oldestCmake) >= 0 ? cmakePath : undefined;
  return { cmake, cmakeVersion, ninja: ninjaVersion === undefined ? undefined : ninja, python };
}

/**
 * Checks everything that a first set-up needs, at once, so that one round of installing is enough.
 * Returns { compiler, cmake, ninja, python }: full paths; cmake and ninja are undefined where they come from wheels by python.
 */
export async function checkPrerequisites(env = process.env) {
  const problems = [];
  const [git, compiler, { cmake, cmakeVersion, ninja, python }] = await Promise.all([
    versionOf(onPath(["git"], env)),
    // On Windows Zig is the compiler, and comes as a wheel.
    process.platform === "win32" ? { path: "zig", refused: [] } : findCompiler(env),
    findBuildTools(env),
  ]);
  if (git === undefined) problems.push({ what: "git", tool: "git" });
  if (compiler.path === undefined) {
    const why = compiler.refused.length > 0 ? ` (${compiler.refused.join("; ")})` : "";
    problems.push({ what: `a C++17 compiler: g++ 9 or later, or clang++ 10 or later${why}`, tool: "compiler" });
  }
  if (python === undefined && process.platform === "win32") {
    problems.push({ what: "python3 with pip, from which the compiler comes", tool: "pip" });
  } else if (python === undefined) {
    const instead = "or python3 with pip, from which it comes by itself";
    if (cmake === undefined)
      problems.push({
        what: `CMake ${oldestCmake} or later (found: ${cmakeVersion ?? "none"}), ${instead}`,
        tool: "cmake",
      });
    if (ninja === undefined) problems.push({ what: `Ninja, ${instead}`, tool: "ninja" });
  }
  stopOn(problems);
  return { compiler: compiler.path, cmake, ninja, python };
}
