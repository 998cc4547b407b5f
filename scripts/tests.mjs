// tests.mjs — sets up, runs every test and every check, and closes with one line of counts.
//
//   --models        the tests with the 491 MB model instead (test/models)
//   --totals FILE   the counts as JSON to FILE instead of the closing line (.ci/run adds two runs up)
// A check that fails counts as a failure; the exit status is 0 only when nothing failed and something ran.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { runChecks } from "./checks.mjs";
import { dist, nodeModules, root } from "./layout.mjs";
import { runNativeTests } from "./native-tests.mjs";
import { checkPrerequisites } from "./prerequisites.mjs";
import { makeReady } from "./ready.mjs";
import { filesUnder, readStamp } from "./stamps.mjs";
import { run, Stop, step } from "./steps.mjs";

/** The model of test/models, by its name in the catalog. */
const testModel = "qwen2.5-coder-0.5b";

/** Runs mocha on the files and returns its counts; without counts mocha itself broke, which is one failure. */
async function runMocha(files) {
  const folder = mkdtempSync(join(tmpdir(), "quire-mocha-"));
  try {
    const counts = join(folder, "counts.json");
    const reporter = ["--reporter", join(root, "scripts", "mocha-counts.cjs"), "--reporter-option", `counts=${counts}`];
    const args = [join(nodeModules, "mocha", "bin", "mocha.js"), "--forbid-only", ...reporter, ...files];
    const { status } = await run(process.execPath, args, { cwd: root, allowFailure: true, show: process.stdout });
    const result = JSON.parse(readStamp(counts) ?? '{"passed":0,"failed":0,"skipped":0}');
    if (status !== 0 && result.failed === 0) result.failed = 1;
    return result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function testFiles(models) {
  const folder = join("test", "models");
  const all = filesUnder(join(root, "test"))
    .map((path) => relative(root, path))
    .filter((path) => path.endsWith(".test.ts"));
  return all.filter((path) => path.startsWith(folder) === models);
}

const add = (a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped });
export const closingLine = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed, ${skipped} skipped`;

async function modelTests() {
  const client = join(dist, "cli.cjs");
  await step(`fetching the model ${testModel}`, () =>
    run(process.execPath, [client, "models", "fetch", testModel], { cwd: root }),
  );
  return { mocha: await runMocha(testFiles(true)) };
}

async function allTests() {
  const parts = { mocha: await runMocha(testFiles(false)), ctest: await runNativeTests(await checkPrerequisites()) };
  const failed = await runChecks({ skipTested: true });
  return { ...parts, check: { passed: 0, failed: failed.length, skipped: 0 } };
}

export async function main(args) {
  const at = args.indexOf("--totals");
  const totalsFile = at < 0 ? undefined : args[at + 1];
  const rest = at < 0 ? args : args.toSpliced(at, 2);
  if (rest.some((arg) => arg !== "--models") || (at >= 0 && totalsFile === undefined)) {
    throw new Stop("usage: npm test [-- --totals FILE]; npm run test:models [-- --totals FILE]");
  }
  await makeReady();
  const parts = rest.length > 0 ? await modelTests() : await allTests();
  const total = Object.values(parts).reduce(add);
  const summary = Object.entries(parts).map(([name, counts]) => `  ${name.padEnd(6)} ${closingLine(counts)}`);
  process.stdout.write(`\nSummary\n${summary.join("\n")}\n`);
  if (totalsFile === undefined) process.stdout.write(`${closingLine(total)}\n`);
  else writeFileSync(totalsFile, JSON.stringify(total));
  if (total.failed > 0 || total.passed === 0) process.exitCode = 1;
}
