// generate-options.ts — options of a generation for tests and benches: greedy, dense, nothing returned that was not asked for.

import type { GenerateOptions, Selection } from "../../native/index.d.ts";

export const dense: Selection = {
  pageBudget: 0,
  vote: "softmax",
  spreadFactor: 1,
  sinkPages: 1,
  recentPages: 4,
  denseLayers: 0,
  force: false,
  observe: false,
};

export function options(change: Partial<GenerateOptions> = {}): GenerateOptions {
  return {
    maxTokens: 8,
    sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, seed: 0 },
    selection: dense,
    stopTokens: [],
    pageMass: false,
    ...change,
  };
}
