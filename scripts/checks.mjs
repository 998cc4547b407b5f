// checks.mjs — everything that is true of the sources without running them.
//
// Each check is one command of a package (or of the clang-format wheel); its output is shown where it fails. All run, so that
// one round shows all there is to mend.
import { join } from "node:path";
import { nodeModules, root } from "./layout.mjs";
import { findPip } from "./prerequisites.mjs";
import { makeReady } from "./ready.mjs";
import { run, Stop } from "./steps.mjs";
import { fromWheel } from "./wheels.mjs";

const program = (...path) => [process.execPath, join(nodeModules, ...path)];

/** The C++ files that git knows or would add. */
async function nativeFiles() {
  const patterns = ["*.h", "*.cpp"].flatMap((ending) => [`native/${ending}`, `test/${ending}`]);
  const { output } = await run("git", ["ls-files", "-co", "--exclude-standard", "-z", "--deduplicate", ...patterns], {
    cwd: root,
  });
  const { output: gone } = await run("git", ["ls-files", "-d", "-z"], { cwd: root });
  const deleted = new Set(gone.split("\0"));
  return output.split("\0").filter((path) => path !== "" && !deleted.has(path));
}

async function clangFormat(write) {
  const tool = await fromWheel("clang-format", await findPip());
  return [tool, ...(write ? ["-i"] : ["--dry-run", "-Werror"]), ...(await nativeFiles())];
}

/** clang-format's complaints as the files they are about; `npm run format` mends them. */
const filesOnly = (output) => [...new Set(output.match(/^[^:\n]+(?=:\d+:\d+: error:)/gm) ?? [output])].join("\n");

const checks = [
  { name: "types", command: () => [...program("typescript", "bin", "tsc"), "--noEmit"] },
  { name: "types of the panel", command: () => [...program("typescript", "bin", "tsc"), "--noEmit", "-p", "media"] },
  {
    name: "biome",
    command: (write) => [
      ...program("@biomejs", "biome", "bin", "biome"),
      "check",
      "--error-on-warnings",
      ...(write ? ["--write"] : []),
    ],
    writes: true,
  },
  { name: "clang-format", command: clangFormat, writes: true, brief: filesOnly },
  { name: "knip", command: () => [...program("knip", "bin", "knip.js"), "--no-progress", "--no-config-hints"] },
  {
    name: "import rules",
    command: () => [...program("mocha", "bin", "mocha.js"), "test/imports.test.ts"],
    tested: true,
  },
];

/** Runs the checks and returns the names of those that fail. `skipTested` leaves out what npm test has run by itself. */
export async function runChecks({ write = false, skipTested = false } = {}) {
  const failed = [];
  for (const { name, command, writes, tested, brief } of checks) {
    if ((write && !writes) || (skipTested && tested)) continue;
    const [tool, ...args] = await command(write);
    const { status, output } = await run(tool, args, { cwd: root, allowFailure: true });
    process.stderr.write(`check: ${name} ${status === 0 ? "ok" : "FAILED"}\n`);
    if (status !== 0) {
      failed.push(name);
      process.stderr.write(`${(brief?.(output) ?? output).trimEnd()}\n`);
    }
  }
  return failed;
}

export async function main(args) {
  const unknown = args.filter((arg) => arg !== "--write");
  if (unknown.length > 0) throw new Stop(`unknown option ${unknown.join(" ")}; the only one is --write`);
  await makeReady(["packages"]);
  const failed = await runChecks({ write: args.includes("--write") });
  if (failed.length > 0) throw new Stop(`${failed.join(", ")} failed`);
}
