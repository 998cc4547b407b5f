// Where a model runs: each reason to refuse a GPU as the doctor says it, who falls back and who does not, a fault of the device,
// and memories, which belong to one backend. The GPU is the border's (gpu/faulty.cjs); what answers is real.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Backend, roomForPages, tryGpu } from "../../engine/backends.ts";
import { native } from "../../engine/native.ts";
import {
  type AskParams,
  type DoctorReport,
  type EngineSettings,
  type MapResult,
  methods,
} from "../../engine/protocol.ts";
import { Place, sourceText } from "./cli/quire.ts";
import { askOf, EngineProcess, failureOf } from "./engine-process.ts";

const border = path.join(import.meta.dirname, "gpu", "faulty.cjs");

describe("a GPU is used or refused with a reason", function () {
  this.timeout(300_000);
  const place = new Place();
  const others: Place[] = [];
  const engines: EngineProcess[] = [];
  const scratch = mkdtempSync(path.join(tmpdir(), "quire-gpu-"));
  let root = "";

  before(async () => {
    await place.prepare();
    root = place.workspace("w", { "src/a.js": sourceText(1, 20), "src/b.js": sourceText(2, 20) });
  });
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.dispose()));
  });
  after(() => {
    for (const each of [place, ...others]) each.dispose();
    rmSync(scratch, { recursive: true, force: true });
  });

  /** An engine whose CUDA addon is the border's, with this fault. */
  async function engineWith(fault: string, env: Readonly<Record<string, string>> = {}, home = place.home) {
    const engine = await EngineProcess.start(home, { QUIRE_CUDA_ADDON: border, QUIRE_TEST_GPU: fault, ...env });
    engines.push(engine);
    return engine;
  }

  /** With the models of this machine and no memory yet. */
  async function newHome(): Promise<string> {
    const other = new Place();
    others.push(other);
    await other.prepare();
    return other.home;
  }

  function ask(backend: EngineSettings["backend"], change: Partial<EngineSettings> = {}): AskParams {
    const params = askOf(root, "What does file a do?");
    return { ...params, settings: { ...params.settings, ...(backend === undefined ? {} : { backend }), ...change } };
  }

  const said = (engine: EngineProcess): string[] =>
    engine.events.flatMap(({ method, params }) => (method === "notice" ? [String(params.message)] : []));

  const refusals: [fault: string, reason: RegExp][] = [
    ["driver too old", /driver is for CUDA 11\.4, CUDA 13\.0 or later is needed/],
    ["too little memory", /Test GPU has too little memory: 1\.0 GB are needed and 0\.3 GB are free/],
    ["crash", /trying the CUDA backend ended with SIGSEGV/],
    ["other sources", /was built from other sources/],
    ["does not load", /does not load: libnvidia\.so\.1: cannot open shared object file/],
  ];
  for (const [fault, reason] of refusals) {
    it(`the doctor says why a GPU is refused: ${fault}`, async () => {
      const engine = await engineWith(fault);
      const { backends, missing } = await engine.request<DoctorReport>(methods.doctor, null);
      const row = backends.find(({ name }) => name.startsWith("cuda"));
      assert.match(row?.reason ?? "", reason);
      assert.equal(row?.usable, false);
      assert.ok(
        backends.some(({ usable, reason: why }) => usable && why === "used"),
        "the processor is used",
      );
      assert.ok(!missing.some((what) => /CUDA|GPU/.test(what)), "a question can be answered all the same");
    });
  }

  it("the doctor says so where the installation has no CUDA backend", async () => {
    const engine = await engineWith("", { QUIRE_CUDA_ADDON: path.join(scratch, "none.node") });
    const { backends } = await engine.request<DoctorReport>(methods.doctor, null);
    assert.match(backends.find(({ name }) => name === "cuda")?.reason ?? "", /has no CUDA backend/);
  });

  it("the doctor shows a GPU that works, and that it is used", async () => {
    const engine = await engineWith("");
    const { backends } = await engine.request<DoctorReport>(methods.doctor, null);
    assert.deepEqual(
      backends.filter(({ reason }) => reason.startsWith("used")).map(({ name }) => name),
      ["cuda Test GPU"],
    );
  });

  it("a GPU too small for the pages leaves them in RAM, as far as there is some and two layers fit", () => {
    const backend = (gpuFree: number, ramFree: number): Backend => {
      const machine = () => ({ ...native().machine(), availableBytes: ramFree });
      return { kind: "cuda", gpu: "Test GPU", addon: { ...native(), machine }, availableBytes: () => gpuFree };
    };
    const million7B = 28 * 4 * 65_536 * (8_192 + 512);
    assert.ok(roomForPages(backend(16e9, 128e9), 28, 0) > million7B, "16 GB serve a million tokens of a 7B");
    assert.ok(roomForPages(backend(16e9, 64e9), 28, 0) < million7B, "not with so little RAM");
    assert.ok(roomForPages(backend(6e9, 128e9), 28, 0) < million7B, "not where two layers do not fit");
    assert.equal(roomForPages(backend(80e9, 8e9), 28, 0), 80e9, "what fits lies on the GPU");
  });

  it("a driver that hangs is given up", async () => {
    const before = process.env.QUIRE_TEST_GPU;
    process.env.QUIRE_TEST_GPU = "hang";
    try {
      const gpu = await tryGpu(border, 2_000);
      assert.ok(!gpu.usable);
      assert.match(gpu.reason, /did not answer within 2 seconds/);
    } finally {
      if (before === undefined) delete process.env.QUIRE_TEST_GPU;
      else process.env.QUIRE_TEST_GPU = before;
    }
  });

  it("auto: the processor answers, and why is said before", async () => {
    const engine = await engineWith("driver too old");
    const result = await engine.ask(ask("auto")).result;
    assert.match(result.stats.backend, /^cpu /);
    assert.match(
      said(engine).join("\n"),
      /The GPU is not used, the processor answers: the NVIDIA driver is for CUDA 11\.4/,
    );
  });

  it("auto without a word of it in the settings: the same", async () => {
    const engine = await engineWith("too little memory");
    const result = await engine.ask(ask(undefined)).result;
    assert.match(result.stats.backend, /^cpu /);
    assert.match(said(engine).join("\n"), /too little memory/);
  });

  it("auto: a GPU too small for the model is refused with both sizes", async () => {
    const engine = await engineWith("too little for the model");
    const result = await engine.ask(ask("auto")).result;
    assert.match(result.stats.backend, /^cpu /);
    assert.match(said(engine).join("\n"), /Test GPU has too little memory: 0\.\d GB are needed and 0\.4 GB are free/);
  });

  it("cuda: nothing else answers", async () => {
    for (const fault of ["driver too old", "too little for the model"]) {
      const engine = await engineWith(fault);
      const failure = await failureOf(engine.ask(ask("cuda")));
      assert.equal(failure.code, "backend-refused");
      assert.match(failure.message, /^The GPU cannot be used: .*(CUDA 11\.4|too little memory)/);
      assert.notEqual(failure.nextStep, "");
    }
  });

  it("cpu: the GPU is not even tried", async () => {
    const engine = await engineWith("crash");
    const result = await engine.ask(ask("cpu")).result;
    assert.match(result.stats.backend, /^cpu /);
    assert.deepEqual(
      said(engine).filter((sentence) => /GPU/.test(sentence)),
      [],
    );
  });

  it("a budget that the GPU has no room for is refused before anything is read, and a smaller one is proposed", async () => {
    const engine = await engineWith("too little for the budget");
    // As many tokens for the answer as a map plans with.
    const failure = await failureOf(engine.ask({ ...ask("cuda", { tokenBudget: 6_500 }), maxTokens: 512 }));
    assert.equal(failure.code, "out-of-memory");
    const proposed = Number(/--token-budget (\d+)/.exec(failure.nextStep)?.[1]);
    assert.ok(proposed >= 512 && proposed < 6_500, failure.nextStep);
    assert.ok(!engine.events.some(({ params }) => params.stage === "reading"));
    const { workspace, settings } = ask("cuda", { tokenBudget: proposed });
    const planned = await engine.request<MapResult>(methods.map, { id: "2", workspace, settings });
    assert.equal(planned.tokenBudget, proposed, "that one is taken");
  });

  it("a device fault is told as one, and another engine finds the memory whole on disk", async () => {
    const home = await newHome();
    const env = { QUIRE_TEST_GPU_ONCE: path.join(scratch, "faulted"), QUIRE_MEMORY: "" };
    const first = await engineWith("device fault", env, home);
    const failure = await failureOf(first.ask(ask("cuda")));
    assert.equal(failure.code, "device-fault");
    assert.notEqual(failure.nextStep, "");
    await first.dispose();
    const second = await engineWith("device fault", env, home);
    const { stats } = await second.ask(ask("cuda")).result;
    assert.equal(stats.backend, "cuda Test GPU");
    assert.ok(stats.reusedTokens > 0, "what was read before the fault was kept");
    assert.ok(stats.prefilledTokens < stats.reusedTokens, "only the question was read");
  });

  it("a memory read on one backend is not taken by the other", async () => {
    const home = await newHome();
    const read = async (backend: "cpu" | "cuda") => {
      const engine = await engineWith("", { QUIRE_MEMORY: "" }, home);
      return (await engine.ask(ask(backend)).result).stats;
    };
    const onCpu = await read("cpu");
    assert.equal(onCpu.reusedTokens, 0);
    const onGpu = await read("cuda");
    assert.equal(onGpu.reusedTokens, 0, "the processor's memory lies there, and is none of the GPU's");
    assert.equal(onGpu.backend, "cuda Test GPU");
    const again = await read("cpu");
    assert.ok(again.reusedTokens > 0, "each finds its own");
  });
});
