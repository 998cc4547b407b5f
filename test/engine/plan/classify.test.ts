// Kinds, languages and estimates by path.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { languageOf } from "../../../engine/languages.ts";
import { classify, estimateTokens, type FileClass } from "../../../engine/plan/classify.ts";

const cases: Readonly<Record<FileClass, string[]>> = {
  key: ["README.md", "ARCHITECTURE.md", "app/README", "readme.rst"],
  source: ["src/a.ts", "lib/tests.ts", "main.go", "a.cu", "Gemfile", "scripts/x.sh", "src/contest.py", "src/latest.js"],
  test: [
    "test/a.ts",
    "src/a.test.ts",
    "tests/test_a.py",
    "pkg/a_test.go",
    "conftest.py",
    "src/FooTest.java",
    "__tests__/x.js",
  ],
  docs: ["docs/a.md", "a/b/c/README.md", "notes.txt", "manual.rst"],
  config: ["package.json", "CMakeLists.txt", "Dockerfile", "a.yaml", "infra/main.tf"],
  data: ["LICENSE", "CHANGELOG.md", "rows.csv", "locales/de.json", ".gitignore", "weird.xyz"],
};

describe("classify", () => {
  for (const [kind, paths] of Object.entries(cases))
    for (const name of paths) it(`${name}: ${kind}`, () => assert.equal(classify(name), kind));
});

describe("language", () => {
  const expected = [
    ["a.tsx", "tsx"],
    ["A.PY", "python"],
    ["x/CMakeLists.txt", "cmake"],
    ["Makefile", "makefile"],
    [".ts", ""],
    ["noext", ""],
    ["dir.ts/noext", ""],
    // Bug: names of Object.prototype were looked up in a plain object and gave functions.
    ["constructor", ""],
    ["a.constructor", ""],
    ["a.__proto__", ""],
    ["toString", ""],
  ] as const;
  for (const [name, language] of expected) it(`${name}: "${language}"`, () => assert.equal(languageOf(name), language));
});

describe("estimate", () => {
  it("is near enough for code: between a half and twice of four bytes a token", () => {
    for (const name of ["engine/plan/plan.ts", "ARCHITECTURE.md", "tsconfig.json"]) {
      const bytes = readFileSync(path.join(import.meta.dirname, "../../..", name)).length;
      const estimate = estimateTokens(bytes, name);
      assert.ok(estimate > bytes / 8 && estimate < bytes / 2 + 16, `${name}: ${estimate} for ${bytes} bytes`);
    }
  });

  it("never is nothing", () => assert.ok(estimateTokens(0, "a.ts") > 0));
});
