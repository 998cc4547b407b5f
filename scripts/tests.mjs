// tests.mjs — sets up, runs every test and every check, and closes with one line of counts.
//
//   --models        the tests with the 491 MB model instead (test/models)
//   --e2e           only the tests in a real editor (test/e2e), which are part of all
//   --totals FILE   the counts as JSON to FILE instead of the closing line (.ci/run adds two runs up)
// A check that fails counts as a failure; the exit status is 0 only when nothing failed and something ran.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { runChecks } from "./checks.mjs";
import { prepareEndToEnd } from "./end-to-end.mjs";
import { dist, nodeModules, root } from "./layout.mjs";
import { runNativeTests } from "./native-tests.mjs";
import { checkPrerequisites } from "./prerequisites.mjs";
import { makeReady } from "./ready.mjs";
import { filesUnder, readStamp } from "./stamps.mjs";
import { run, Stop, step } from "./steps.mjs";

/** What is fetched for the tests, by name in the catalog: 98 MB for all, 491 MB for those that ask for a useful model. */
const smallModel = "smollm2-135m";
const usefulModel = "qwen2.5-coder-0.5b";
/** Where the tests that read a useful model lie; those of golden/ also run without one, on the small model. */
const modelFolders = ["test/models", "test/golden"];

/** Runs mocha on the files and returns its counts; without counts mocha itself broke, which is one failure. */
async function runMocha(files) {
  const folder = mkdtempSync(join(tmpdir(), "quire-mocha-"));
  try {
    const counts = join(folder, "counts.json");
    const reporter = ["--reporter", join(root, "scripts", "mocha-counts.cjs"), "--reporter-option", `counts=${counts}`];
    const args = [
      join(nodeModules, "mocha", "bin", "mocha.js"),
      "--forbid-only",
      process.stdout.isTTY ? "--color" : "--no-color",
      ...reporter,
      ...files,
    ];
    const { status } = await run(process.execPath, args, { cwd: root, allowFailure: true, show: process.stdout });
    const result = JSON.parse(readStamp(counts) ?? '{"passed":0,"failed":0,"skipped":0}');
    if (status !== 0 && result.failed === 0) result.failed = 1;
    return result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Test files below test/, from its root, with "/" between folders. */
const testFiles = () =>
  filesUnder(join(root, "test"))
    .map((path) => relative(root, path).replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".test.ts"));

/** The product's own fetcher brings the model. The tests run without it too, and skip what needs it, so it is counted. */
async function fetchModel(name) {
  try {
    await step(`fetching the model ${name}`, () =>
      run(process.execPath, [join(dist, "cli.cjs"), "models", "fetch", name], { cwd: root }),
    );
    return none;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    process.stderr.write(`${error.message}\n`);
    return { ...none, failed: 1 };
  }
}

const none = { passed: 0, failed: 0, skipped: 0 };
const add = (a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped });
export const closingLine = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed, ${skipped} skipped`;

async function modelTests() {
  const fetch = add(await fetchModel(smallModel), await fetchModel(usefulModel));
  const files = testFiles().filter((path) => modelFolders.some((folder) => path.startsWith(`${folder}/`)));
  return { fetch, mocha: await runMocha(files) };
}

const editorFiles = () => testFiles().filter((path) => path.startsWith("test/e2e/"));

/** The tests in a real editor: minutes, and a browser. */
async function editorTests() {
  const fetch = await fetchModel(smallModel);
  await prepareEndToEnd();
  return { fetch, editor: await runMocha(editorFiles()) };
}

async function allTests() {
  const fetch = await fetchModel(smallModel);
  // First: the panel's own tests need the browser, too.
  await prepareEndToEnd();
  const apart = ["test/models/", "test/e2e/"];
  const mocha = await runMocha(testFiles().filter((path) => !apart.some((folder) => path.startsWith(folder))));
  const ctest = await runNativeTests(await checkPrerequisites());
  const failed = await runChecks({ skipTested: true });
  const editor = await runMocha(editorFiles());
  return { fetch, mocha, ctest, check: { ...none, failed: failed.length }, editor };
}

export async function main(args) {
  const at = args.indexOf("--totals");
  const totalsFile = at < 0 ? undefined : args[at + 1];
  const rest = at < 0 ? args : args.toSpliced(at, 2);
  const kinds = { "--models": modelTests, "--e2e": editorTests };
  if (rest.length > 1 || rest.some((arg) => !(arg in kinds)) || (at >= 0 && totalsFile === undefined)) {
    throw new Stop("usage: npm test | npm run test:models | npm run test:e2e, each with [-- --totals FILE]");
  }
  await makeReady();
  const parts = await (kinds[rest[0]] ?? allTests)();
  const total = Object.values(parts).reduce(add);
  const summary = Object.entries(parts).map(([name, counts]) => `  ${name.padEnd(6)} ${closingLine(counts)}`);
  process.stdout.write(`\nSummary\n${summary.join("\n")}\n`);
  if (totalsFile === undefined) process.stdout.write(`${closingLine(total)}\n`);
  else writeFileSync(totalsFile, JSON.stringify(total));
  if (total.failed > 0 || total.passed === 0) process.exitCode = 1;
}
