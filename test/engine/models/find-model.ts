// find-model.ts — where the tests' real models may already lie: $QUIRE_MODELS, else Quire's own folder.
//
// In: a catalog entry. Out: a path of a file of the right size, or undefined. It fetches nothing.
import { statSync } from "node:fs";
import path from "node:path";
import type { ModelEntry } from "../../../engine/models/catalog.ts";
import { modelsFolder } from "../../../engine/paths.ts";

export function findTestModel(entry: Pick<ModelEntry, "name" | "file" | "bytes">): string | undefined {
  for (const folder of [process.env.QUIRE_MODELS, modelsFolder()]) {
    if (folder === undefined || folder === "") continue;
    const file = path.join(folder, entry.file);
    if (statSync(file, { throwIfNoEntry: false })?.size === entry.bytes) return file;
  }
  return undefined;
}
