// fetched-model.ts — a model of the catalog for tests, fetched and verified by the product's own fetcher when it is not here.

import { findModel } from "../../engine/models/catalog.ts";
import { fetchModel } from "../../engine/models/fetch.ts";
import { ensureFolder, modelsFolder } from "../../engine/paths.ts";
import { findTestModel } from "../engine/models/find-model.ts";

export async function fetchedModel(name: string): Promise<string> {
  const entry = findModel(name);
  if (entry === undefined) throw new Error(`The catalog has no ${name}.`);
  return findTestModel(entry) ?? fetchModel(entry, { folder: await ensureFolder(modelsFolder()) });
}
