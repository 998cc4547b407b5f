// instruction-sets.test.ts — nothing compiled for AVX2 or AVX-512 may stand in for code that every processor runs.
//
// An inline function or template of a header is emitted, weak, by each file that uses it, and the linker keeps one of them: if
// that is the AVX-512 file's, an older processor stops with an illegal instruction in code that seems plain. So what those
// files share lies in an unnamed namespace (or is inlined), and their objects have no weak symbol.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { build } from "../../scripts/layout.mjs";
import { onPath } from "../../scripts/prerequisites.mjs";
import { filesUnder } from "../../scripts/stamps.mjs";

describe("objects with instructions of their own", () => {
  it("have no weak symbols", function () {
    const nm = onPath(["nm"]);
    const objects = filesUnder(path.join(build, "CMakeFiles", "quire_core.dir")).filter((file: string) =>
      /_(avx2|avx512)\.cpp\.o$/.test(file),
    );
    if (nm === undefined || objects.length === 0) this.skip();
    const weak = objects.flatMap((object: string) => {
      const { stdout, status } = spawnSync(nm, ["-C", object], { encoding: "utf8" });
      assert.equal(status, 0, object);
      const names = [...stdout.matchAll(/^[0-9a-f]* *[WVu] (.*)$/gm)].map(([, name]) => name);
      return names.map((name) => `${path.basename(object)}: ${name}`);
    });
    assert.deepEqual(weak, []);
  });
});
