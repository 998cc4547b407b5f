// The CUDA backend on a machine without a GPU: every source is in the build, one target compiles, and the addon loads and says
// why it cannot be used. The compiler comes from the machine or from wheels; where neither is to be had, only CI insists.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { tryGpu } from "../../engine/backends.ts";
import { build, native, root } from "../../scripts/layout.mjs";
import { filesUnder } from "../../scripts/stamps.mjs";

const tree = path.join(build, "cuda-test");

/** Builds for one target in a tree of its own; resolves with the status and all that was printed. */
function buildForOneTarget(): Promise<{ status: number | null; text: string }> {
  const child = spawn(process.execPath, [path.join(root, "scripts", "build-cuda.mjs"), "--targets", "90"], {
    cwd: root,
    env: { ...process.env, QUIRE_CUDA_TREE: tree, NODE_OPTIONS: "" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += String(data)));
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, text })));
}

describe("the CUDA backend", () => {
  it("is built from every source, once", () => {
    const cmake = readFileSync(path.join(native, "kernels", "cuda", "CMakeLists.txt"), "utf8");
    const listed = /^set\(QUIRE_CUDA_SOURCES\n([^)]*)\)/m.exec(cmake)?.[1]?.trim().split(/\s+/) ?? [];
    const onDisk = filesUnder(native)
      .map((file: string) => path.relative(native, file).replaceAll("\\", "/"))
      .filter((file: string) => file.endsWith(".cu"));
    assert.deepEqual(listed.toSorted(), onDisk.toSorted());
  });

  it("compiles for one target, loads without a GPU, and says why it is refused", async function () {
    this.timeout(900_000);
    if (process.platform !== "linux" || process.arch !== "x64") this.skip();
    const { status, text } = await buildForOneTarget();
    if (status !== 0 && /wheels need python3|installing CUDA's compiler .* failed/.test(text) && !process.env.CI)
      this.skip();
    assert.equal(status, 0, text);
    const addon = path.join(tree, "Release", "quire-cuda.node");
    assert.ok(existsSync(addon) && statSync(addon).size < 60e6);
    const gpu = await tryGpu(addon);
    if (gpu.usable) assert.ok(gpu.name !== "" && gpu.memoryBytes > 0);
    else assert.match(gpu.reason, /no NVIDIA driver|driver is for CUDA|no NVIDIA GPU|compute capability|too little/);
  });
});
