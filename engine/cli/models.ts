// models.ts — `quire models list | fetch | verify | remove`.

import { type ModelRow, methods } from "../protocol.ts";
import { bytes, printJson, say } from "./output.ts";
import { withEngine } from "./session.ts";

interface JsonOption {
  json?: boolean;
}

export async function listModels(options: JsonOption): Promise<void> {
  const rows = await withEngine(({ request }) => request<ModelRow[]>(methods.listModels, null));
  for (const row of rows) show(row, options);
}

export async function fetchModel(name: string | undefined, options: JsonOption): Promise<void> {
  show(await withEngine(({ request }) => request<ModelRow>(methods.fetchModel, { name: name ?? "auto" })), options);
}

export async function verifyModel(name: string, options: JsonOption): Promise<void> {
  const row = await withEngine(({ request }) => request<ModelRow>(methods.verifyModel, { name }));
  show(row, options);
  if (row.state !== "present") process.exitCode = 1;
}

export async function removeModel(name: string, options: JsonOption): Promise<void> {
  await withEngine(({ request }) => request<null>(methods.removeModel, { name }));
  if (options.json === true) printJson({ removed: name });
  else say(`Removed ${name}.`);
}

function show(row: ModelRow, options: JsonOption): void {
  if (options.json === true) {
    printJson(row);
    return;
  }
  const size = row.state === "partial" ? `${bytes(row.bytesOnDisk)} of ${bytes(row.bytes)}` : bytes(row.bytes);
  process.stdout.write(
    `${row.name.padEnd(22)} ${row.state.padEnd(8)} ${size.padEnd(20)} ${row.licence}, ${row.context} tokens: ${row.title}\n`,
  );
}
