// native-tests.mjs — builds the GoogleTest binaries in build/tests and runs them through ctest.
//
// In: what checkPrerequisites found. Out: counts of tests passed, failed and skipped. GoogleTest comes from the machine.
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildTools, jobs } from "./build-tools.mjs";
import { howToGet } from "./how-to-get.mjs";
import { native, root, testBuild } from "./layout.mjs";
import { onPath } from "./prerequisites.mjs";
import { run, Stop, step } from "./steps.mjs";

/** Configures the tree; where GoogleTest is missing and we may, it is installed first. */
async function configure({ cmake, ninja, compiler, env }) {
  const settings = [
    `-DCMAKE_MAKE_PROGRAM=${ninja}`,
    `-DCMAKE_CXX_COMPILER=${compiler}`,
    "-DQUIRE_TESTS=ON",
    "-DQUIRE_WERROR=ON",
  ];
  const call = () => run(cmake, ["-S", native, "-B", testBuild, "-G", "Ninja", ...settings], { cwd: root, env });
  try {
    await call();
  } catch (error) {
    if (!/GTest/.test(error.message)) throw error;
    const apt = onPath(["apt-get"]);
    if (process.getuid?.() !== 0 || apt === undefined) {
      throw new Stop(`GoogleTest is missing, the native tests need it:\n  ${howToGet("gtest")}`);
    }
    await step("installing GoogleTest (libgtest-dev)", async () => {
      const options = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
      const install = () => run(apt, ["install", "-y", "--no-install-recommends", "libgtest-dev"], options);
      await install().catch(async () => {
        await run(apt, ["update"], options);
        await install();
      });
    });
    rmSync(join(testBuild, "CMakeCache.txt"), { force: true });
    await call();
  }
}

/** Counts from ctest's lines, one per test: "3/33 Test #3: name ... Passed 0.01 sec". */
export function countCtest(output) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, verdict] of output.matchAll(/^\s*\d+\/\d+ Test\s+#\d+: .*(Passed|\*\*\*[^*]*?)\s+[\d.]+ sec\s*$/gm)) {
    if (verdict === "Passed") counts.passed += 1;
    else if (/Skipped|Disabled/.test(verdict)) counts.skipped += 1;
    else counts.failed += 1;
  }
  return counts;
}

/** Builds and runs; a test file that does not build counts as one failure, and the others still run. */
export async function runNativeTests(found) {
  const tools = await buildTools(found);
  await step("configuring the native tests", () => configure(tools));
  const built = await step("building the native tests", () =>
    run(tools.cmake, ["--build", testBuild, "--parallel", String(jobs), "--", "-k", "0"], {
      env: tools.env,
      allowFailure: true,
    }),
  );
  if (built.status !== 0) process.stderr.write(`${built.output.trimEnd()}\n`);
  const ctest = join(dirname(tools.cmake), "ctest");
  const args = ["--test-dir", testBuild, "--output-on-failure", "--parallel", String(jobs)];
  const { status, output } = await run(ctest, args, { env: tools.env, allowFailure: true, show: process.stdout });
  const counts = countCtest(output);
  if (built.status !== 0 || (status !== 0 && counts.failed === 0)) counts.failed += 1;
  return counts;
}
