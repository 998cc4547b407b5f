// backends.ts — where a model runs: on a GPU, with the addon that has the CUDA backend, or on the processor; and why.
//
// The CUDA addon is loaded in a throw-away child first: a driver that crashes or hangs takes nothing with it. What was found holds
// for the life of the process. Every refusal has a reason, for the doctor and for who falls back: nobody does so in silence.

import { execFile } from "node:child_process";
import { z } from "zod";
import { QuireError } from "./errors.ts";
import { cudaAddon, loadAddon, type Native, native } from "./native.ts";

export type BackendWish = "auto" | "cpu" | "cuda";

/** What trying the CUDA addon brought. */
export type Gpu =
  | { usable: true; name: string; memoryBytes: number; freeBytes: number }
  /** present: this installation has a CUDA addon, so that a refusal is news. */
  | { usable: false; present: boolean; reason: string };

export interface Backend {
  kind: "cpu" | "cuda";
  addon: Native;
  /** The GPU's name. */
  gpu?: string;
  /** The processor is used although there is a CUDA addon: why. */
  refused?: string;
  /** Bytes that are free now where it keeps weights and pages. */
  availableBytes: () => number;
}

/** Below this, not even a small model and its memory find room. */
const leastFreeBytes = 1e9;
const usualPatience = 30_000;

const schema = z.object({
  surface: z.number(),
  gpu: z.object({ name: z.string(), refusal: z.string(), memoryBytes: z.number(), freeBytes: z.number() }),
});

/** Run by the child: loads the addon that it is given and says what it says of the GPU. */
const trial =
  "const { surface, machine } = require(process.argv[1]);" +
  "process.stdout.write(JSON.stringify({ surface, gpu: machine().gpu }))";

let tried: Promise<Gpu> | undefined;

/** The GPU, or why there is none that can be used. Never throws. */
export function findGpu(): Promise<Gpu> {
  tried ??= tryGpu(cudaAddon());
  return tried;
}

/** Tries a file in a child that has `patience` milliseconds. Never throws. */
export async function tryGpu(file: string | undefined, patience = usualPatience): Promise<Gpu> {
  if (file === undefined) {
    return { usable: false, present: false, reason: "this installation has no CUDA backend (quire-cuda.node)" };
  }
  const refuse = (reason: string): Gpu => ({ usable: false, present: true, reason });
  const { output, broken } = await runTrial(file, patience);
  if (broken !== undefined) return refuse(broken);
  let said: unknown;
  try {
    said = JSON.parse(output);
  } catch {
    return refuse("the CUDA backend said nothing when it was tried");
  }
  const parsed = schema.safeParse(said);
  if (!parsed.success) return refuse("the file of the CUDA backend holds none, or an older one: npm run build:cuda");
  if (parsed.data.surface !== native().surface) {
    return refuse("the file of the CUDA backend was built from other sources: npm run build:cuda");
  }
  const { name, refusal, memoryBytes, freeBytes } = parsed.data.gpu;
  if (refusal !== "") return refuse(refusal);
  const short = tooLittle(name, freeBytes, leastFreeBytes);
  return short === undefined ? { usable: true, name, memoryBytes, freeBytes } : refuse(short);
}

function runTrial(file: string, patience: number): Promise<{ output: string; broken?: string }> {
  // As the engine itself is started: the editor's program is Node with this variable. Options of ours are not the child's.
  const env = { ...process.env, ELECTRON_RUN_AS_NODE: "1", NODE_OPTIONS: "" };
  const options = { env, timeout: patience, killSignal: "SIGKILL", windowsHide: true } as const;
  return new Promise((resolve) => {
    execFile(process.execPath, ["-e", trial, file], options, (error, stdout, stderr) => {
      if (error === null) return resolve({ output: stdout });
      const broken = error.killed
        ? `the GPU's driver did not answer within ${patience / 1000} seconds`
        : error.signal
          ? `trying the CUDA backend ended with ${error.signal}`
          : `the CUDA backend does not load: ${lastError(stderr) ?? error.message}`;
      resolve({ output: "", broken });
    });
  });
}

/** The line of a stack that names the error. */
function lastError(text: string): string | undefined {
  return /^(?:\w*Error): (.*)$/m.exec(text)?.[1];
}

/** Why a GPU is too small, or undefined where it is not. */
export function tooLittle(name: string, freeBytes: number, neededBytes: number): string | undefined {
  if (freeBytes >= neededBytes) return undefined;
  const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);
  return `${name} has too little memory: ${gigabytes(neededBytes)} GB are needed and ${gigabytes(freeBytes)} GB are free`;
}

export function processor(refused?: string): Backend {
  const addon = native();
  return {
    kind: "cpu",
    addon,
    availableBytes: () => addon.machine().availableBytes,
    ...(refused === undefined ? {} : { refused }),
  };
}

/**
 * "auto": the GPU where there is one that works, else the processor, with the reason if a CUDA addon was refused. "cuda": the GPU
 * or nothing; throws "backend-refused" with the reason.
 */
export async function chooseBackend(wish: BackendWish): Promise<Backend> {
  if (wish === "cpu") return processor();
  const gpu = await findGpu();
  const file = cudaAddon();
  if (gpu.usable && file !== undefined) {
    const addon = loadAddon(file);
    // Asked anew: models and other programs come and go.
    return {
      kind: "cuda",
      gpu: gpu.name,
      addon,
      availableBytes: () => addon.machine().gpu?.freeBytes ?? gpu.freeBytes,
    };
  }
  const reason = gpu.usable ? "its file is gone" : gpu.reason;
  if (wish === "cuda") throw refusal(reason);
  return processor(gpu.usable || gpu.present ? reason : undefined);
}

/** Of a memory's bytes: summaries are a seventeenth, and tables; of pages, the GPU holds two layers at least (native/cuda/page_tier.h). */
const summaryShare = 1 / 17 + 0.02;
/** Of the free RAM: pinned memory is the whole system's loss. */
const pinnedShare = 0.7;

/**
 * Bytes of keys, values and summaries that a backend has room for, `heldBytes` of them already taken. A GPU whose memory is too
 * small leaves the pages in RAM.
 */
export function roomForPages(backend: Backend, layers: number, heldBytes: number): number {
  const near = backend.availableBytes() + heldBytes;
  if (backend.kind === "cpu") return near;
  const ram = backend.addon.machine().availableBytes * pinnedShare;
  return Math.max(near, Math.min(ram, near / (summaryShare + 2 / layers)));
}

/** The failure of who asked for the GPU and for nothing else. */
export function refusal(reason: string): QuireError {
  return new QuireError("backend-refused", `The GPU cannot be used: ${reason}.`, {
    where: "backend",
    nextStep: "Set the backend to auto or cpu, or see `quire doctor`.",
  });
}
