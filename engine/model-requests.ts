// model-requests.ts — what a client asks about models: list, fetch, verify, remove. Runs none.

import { chooseBackend } from "./backends.ts";
import { QuireError } from "./errors.ts";
import { type ModelShelf, speedsOn, usualBudget } from "./model-shelf.ts";
import { catalog, findModel, type ModelEntry } from "./models/catalog.ts";
import { chooseModel } from "./models/choose.ts";
import { type FetchProgress, fetchModel } from "./models/fetch.ts";
import { listModels, type ModelState, removeModel, verifyModel } from "./models/store.ts";
import { ensureFolder, modelsFolder } from "./paths.ts";
import type { ModelRow } from "./protocol.ts";

interface Listener {
  fetching(name: string, progress: FetchProgress): void;
  notice(message: string): void;
}

export async function listRows(): Promise<ModelRow[]> {
  return (await listModels(modelsFolder())).map(toRow);
}

export async function fetchRow(name: string, signal: AbortSignal, listener: Listener): Promise<ModelRow> {
  const entry = name === "auto" ? await autoEntry(listener) : namedEntry(name);
  const folder = await ensureFolder(modelsFolder());
  await fetchModel(entry, {
    folder,
    signal,
    onProgress: (progress) => listener.fetching(entry.name, progress),
    say: (message) => listener.notice(message),
  });
  return rowOf(entry);
}

export async function verifyRow(name: string, signal: AbortSignal): Promise<ModelRow> {
  const entry = namedEntry(name);
  await verifyModel(entry, { folder: modelsFolder(), force: true, signal });
  return rowOf(entry);
}

/** Throws "busy" while a question runs, or where another client uses the model. */
export async function removeRow(name: string, models: ModelShelf, user: object, asked: number): Promise<null> {
  const entry = namedEntry(name);
  const isOpen = models.all.some(({ open }) => open.name === entry.name);
  if (isOpen && (asked > 0 || models.isUsedByOthers(entry.name, user))) {
    throw new QuireError("busy", `${entry.name} is in use.`, { where: entry.name });
  }
  models.close(({ open }) => open.name === entry.name);
  await removeModel(entry, { folder: modelsFolder() });
  return null;
}

async function autoEntry(listener: Listener): Promise<ModelEntry> {
  const backend = await chooseBackend("auto");
  const choice = chooseModel({
    requested: "auto",
    availableBytes: backend.availableBytes(),
    plannedTokens: usualBudget,
    tokensPerSecond: (await speedsOn(backend, { cpu: "auto", threads: 0 })).tokensPerSecond,
  });
  listener.notice(choice.reason);
  if (choice.kind === "catalog") return choice.entry;
  throw new QuireError("unknown-model", "Only models of the catalog can be fetched.", { where: choice.path });
}

function namedEntry(name: string): ModelEntry {
  const entry = findModel(name);
  if (entry !== undefined) return entry;
  const names = catalog.map((model) => model.name).join(", ");
  throw new QuireError("unknown-model", `There is no model named ${JSON.stringify(name)}; known are ${names}.`, {
    where: name,
  });
}

async function rowOf(entry: ModelEntry): Promise<ModelRow> {
  const [state] = await listModels(modelsFolder(), [entry]);
  if (state === undefined) throw new QuireError("internal", `${entry.name} is not listed.`);
  return toRow(state);
}

function toRow({ entry, state, path, bytesOnDisk }: ModelState): ModelRow {
  const { name, title, licence, bytes, context } = entry;
  return { name, title, licence, bytes, context, state, path, bytesOnDisk };
}
