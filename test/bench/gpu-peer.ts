// gpu-peer.ts — llama.cpp on one H200, tokens/s: what the rows of `npm run bench -- gpu` are held against, and the bars they must pass.
//
// llama.cpp (ggml 0.25.1, CUDA 13.0, flash attention, f16 keys and values), Q4_K_M files of the same shapes, measured once by
// the project; prefill is 8 192 tokens behind the context.

type Shape = "0.5B" | "7B" | "8B";

const depths: readonly number[] = [0, 32768, 131072];

const llamaCpp: Record<Shape, { decode: readonly number[]; prefill: readonly number[] }> = {
  "0.5B": { decode: [892, 625, 470], prefill: [65274, 34202, 12444] },
  "7B": { decode: [277, 227, 169], prefill: [10942, 6793, 3126] },
  "8B": { decode: [268, 180, 90], prefill: [10410, 6280, 2762] },
};

/** llama.cpp's tokens/s, where it was measured. */
export function peerSpeed(shape: string, what: string, context: number): number | undefined {
  if (!(shape in llamaCpp) || (what !== "decode" && what !== "prefill")) return undefined;
  return llamaCpp[shape as Shape][what][depths.indexOf(context)];
}

/** A bar: at least `must`, wanted `goal`. */
interface Bar {
  must?: number;
  goal?: number;
}

const attention: Record<string, Bar> = {
  "32/32 32768": { must: 5.5, goal: 7.5 },
  "32/32 131072": { must: 9, goal: 11 },
  "32/32 1048576": { goal: 16 },
  "32/8 32768": { must: 2.5, goal: 4 },
  "32/8 131072": { must: 6, goal: 9 },
  "32/8 1048576": { must: 11, goal: 16 },
  "28/4 32768": { must: 1 },
  "28/4 131072": { must: 4 },
  "28/4 1048576": { must: 9 },
};

const ratios: Record<string, Bar> = {
  "8B decode 0": { must: 1, goal: 1.5 },
  "7B decode 0": { must: 1, goal: 1.5 },
  "0.5B decode 0": { must: 1, goal: 1.5 },
  "8B decode 131072": { must: 2.2, goal: 3.5 },
  "7B decode 131072": { must: 1.4, goal: 2.3 },
  "0.5B decode 131072": { must: 1.6, goal: 2.5 },
};

/** What a row's speed-up or ratio must be. */
export function barOf(row: Record<string, unknown>): Bar {
  if (row.what === "attention") return attention[`${row.heads}/${row.kvHeads} ${row.context}`] ?? {};
  if (row.what === "prefill" && row.context === 0) return { must: 0.5, goal: 1 };
  if (row.what === "prefill" && row.context === 131072 && row.attention === "sparse") return { must: 1.2, goal: 2 };
  if (row.what === "prefill") return {};
  return ratios[`${row.shape} ${row.what} ${row.context}`] ?? {};
}
