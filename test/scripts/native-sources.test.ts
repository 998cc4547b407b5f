// native-sources.test.ts — CMake lists sources by name; a file that nobody listed would silently not be built.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { addonSources } from "../../scripts/cross-addon.mjs";
import { native } from "../../scripts/layout.mjs";
import { filesUnder } from "../../scripts/stamps.mjs";

describe("native/CMakeLists.txt", () => {
  const text = readFileSync(path.join(native, "CMakeLists.txt"), "utf8");
  const list = (name: string): string[] =>
    new RegExp(`^set\\(${name}\\n([^)]*)\\)`, "m")
      .exec(text)?.[1]
      ?.split("\n")
      .map((line) => line.trim())
      .filter(Boolean) ?? [];
  const onDisk = filesUnder(native)
    .map((file: string) => path.relative(native, file).replaceAll("\\", "/"))
    .filter((file: string) => file.endsWith(".cpp"));

  it("lists every source, once", () => {
    const listed = ["CORE", "AVX2", "AVX512", "ADDON"].flatMap((name) => list(`QUIRE_${name}_SOURCES`));
    assert.deepEqual(listed.toSorted(), onDisk.toSorted());
  });

  it("says when the addon is built anew: not with an edit of the CUDA backend, which it does not hold", () => {
    const built: string[] = addonSources().map((file: string) => path.relative(native, file).replaceAll("\\", "/"));
    for (const source of list("QUIRE_CORE_SOURCES")) assert.ok(built.includes(source), source);
    assert.deepEqual(
      built.filter((file) => /(^|\/)cuda\/|\.cuh?$/.test(file)),
      [],
    );
  });

  it("gives a file the instructions that its name says, and no others", () => {
    assert.deepEqual(
      list("QUIRE_AVX2_SOURCES"),
      onDisk.filter((file: string) => file.endsWith("_avx2.cpp")),
    );
    assert.deepEqual(
      list("QUIRE_AVX512_SOURCES"),
      onDisk.filter((file: string) => file.endsWith("_avx512.cpp")),
    );
  });
});
