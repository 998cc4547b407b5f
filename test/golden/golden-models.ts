// golden-models.ts — the models that golden files were made with, and where their files are looked for.
//
// In: QUIRE_MODELS, a folder of .gguf files. Out: a path, or null when the file is not there. Several names are tried: the
// publisher's first, then short ones.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { modelsFolder } from "../../engine/paths.ts";

export interface GoldenModel {
  /** The first part of its golden files' names. */
  name: string;
  files: string[];
}

export const goldenModels: GoldenModel[] = [
  { name: "smollm2-135m", files: ["SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-q4_1.gguf"] },
  { name: "qwen2.5-coder-0.5b", files: ["qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "qwen2.5-coder-0.5b-q4_k_m.gguf"] },
];

/** The model's file in QUIRE_MODELS or the user's folder of models, or null. */
export function findModel(model: GoldenModel): string | null {
  const folders = [process.env.QUIRE_MODELS, modelsFolder()];
  for (const folder of folders) {
    if (folder === undefined) continue;
    for (const file of model.files) {
      const path = join(folder, file);
      if (existsSync(path)) return path;
    }
  }
  return null;
}
