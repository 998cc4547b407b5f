// faulty.cjs — the border to a GPU, with a fault forced by QUIRE_TEST_GPU; given to the engine as its CUDA addon.
//
// Behind the border is the real addon of the processor: models, memories and answers are real, only what a driver or a device
// would say is made up. Where QUIRE_TEST_GPU_ONCE names a file, the fault happens once, and leaves that file.
const { existsSync, writeFileSync } = require("node:fs");
const path = require("node:path");

const build = path.join(__dirname, "..", "..", "..", "build");
const real = require(process.env.QUIRE_ADDON ?? path.join(build, "Release", "quire.node"));

const fault = process.env.QUIRE_TEST_GPU ?? "";
const once = process.env.QUIRE_TEST_GPU_ONCE;
const inTrial = process.argv[1] === __filename;
const due = () => once === undefined || !existsSync(once);

if (fault === "does not load") throw new Error("libnvidia.so.1: cannot open shared object file");
if (fault === "crash" && inTrial) process.kill(process.pid, "SIGSEGV");
if (fault === "hang" && inTrial) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);

function gpu() {
  const found = { name: "Test GPU", refusal: "", memoryBytes: 24e9, freeBytes: 20e9 };
  if (fault === "driver too old") {
    return { ...found, name: "", refusal: "the NVIDIA driver is for CUDA 11.4, CUDA 13.0 or later is needed" };
  }
  if (fault === "too little memory") return { ...found, freeBytes: 3e8 };
  if (fault === "too little for the model" && !inTrial) return { ...found, freeBytes: 4e8 };
  if (fault === "too little for the budget" && !inTrial) return { ...found, freeBytes: 7e8 };
  return found;
}

const broken = () =>
  Object.assign(new Error("CUDA: an illegal memory access was encountered"), { code: "device-fault" });

class Memory extends real.Memory {
  generate(...args) {
    if (fault !== "device fault" || !due()) return super.generate(...args);
    if (once !== undefined) writeFileSync(once, "");
    return Promise.reject(broken());
  }
}

module.exports = {
  ...real,
  surface: fault === "other sources" ? real.surface - 1 : real.surface,
  Memory,
  // Without RAM to spare, what the GPU has no room for has none elsewhere.
  machine: () => ({
    ...real.machine(),
    ...(fault === "too little for the budget" && { availableBytes: 1e8 }),
    gpu: gpu(),
  }),
  openModel: async (options) => {
    const model = await real.openModel(options);
    const info = { ...model.info, backend: "cuda Test GPU" };
    return Object.defineProperty(model, "info", { value: info });
  },
};
