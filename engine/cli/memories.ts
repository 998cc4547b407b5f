// memories.ts — `quire memories list | pin | unpin | read-again | delete | delete-all`: what is kept on disk of what was read.
//
// A memory is named by its id, by the beginning of one, or by its folder.

import path from "node:path";
import { createInterface } from "node:readline/promises";
import { bytesText, openly } from "../../words/figures.ts";
import {
  agoText,
  everythingText,
  memoryFigures,
  memoryMarks,
  memoryName,
  modelsStayText,
  totalText,
} from "../../words/memories.ts";
import { QuireError } from "../errors.ts";
import { type MemoryList, type MemoryRow, type ModelRow, methods, type RemovedMemory } from "../protocol.ts";
import { printJson, say } from "./output.ts";
import { type Session, withEngine } from "./session.ts";

interface JsonOption {
  json?: boolean;
}

export async function listMemories(options: JsonOption): Promise<void> {
  const { rows, bytes, capBytes, folder } = await withEngine(list);
  for (const row of rows) {
    if (options.json === true) printJson(row);
    else process.stdout.write(`${linesOf(row)}\n`);
  }
  if (options.json === true) return;
  if (rows.length === 0) say("Nothing is kept. The first question about a folder keeps what was read.");
  else say(`${totalText(rows, bytes, capBytes)} They lie in ${folder}.`);
}

export async function pinMemories(names: string[], options: JsonOption): Promise<void> {
  await setPinned(names, true, options);
}

export async function unpinMemories(names: string[], options: JsonOption): Promise<void> {
  await setPinned(names, false, options);
}

export async function deleteMemories(names: string[], options: JsonOption): Promise<void> {
  await withEngine(async (session) => {
    for (const row of chosen((await list(session)).rows, names)) {
      const removed = await session.request<RemovedMemory>(methods.removeMemory, { id: row.id });
      if (options.json === true) printJson({ deleted: row.id, ...removed });
      else say(`Deleted ${memoryName(row)}: ${bytesText(removed.freedBytes)} are free.`);
      sayRefused(removed);
    }
  });
}

export async function readMemoriesAgain(names: string[], options: JsonOption): Promise<void> {
  await withEngine(async (session) => {
    for (const row of chosen((await list(session)).rows, names)) {
      const removed = await session.request<RemovedMemory>(methods.readMemoryAgain, { id: row.id });
      if (options.json === true) printJson({ readAgain: row.id, ...removed });
      else say(`${memoryName(row)} is read again with the next question about it.`);
      sayRefused(removed);
    }
  });
}

export async function deleteAllMemories(options: JsonOption & { yes?: boolean }): Promise<void> {
  await withEngine(async (session) => {
    const { rows, bytes } = await list(session);
    const what = everythingText(rows, bytes);
    if (options.yes !== true) await confirm(`Delete ${what}?`);
    const removed = await session.request<RemovedMemory>(methods.removeMemories, {});
    if (options.json === true) printJson({ deleted: "all", ...removed });
    sayRefused(removed);
    const models = await session.request<ModelRow[]>(methods.listModels, {});
    say(`Deleted: ${what}. ${modelsStayText(models)}`);
    say("Remove a model with `quire models remove <name>`. Questions and answers lie in the editor:");
    say("`Quire: Forget Questions and Answers of This Workspace` deletes them.");
  });
}

const list = ({ request }: Session): Promise<MemoryList> => request<MemoryList>(methods.listMemories, {});

async function setPinned(names: string[], pinned: boolean, options: JsonOption): Promise<void> {
  await withEngine(async (session) => {
    for (const row of chosen((await list(session)).rows, names)) {
      await session.request<null>(methods.pinMemory, { id: row.id, pinned });
      if (options.json === true) printJson({ ...row, pinned });
      else if (pinned) say(`${memoryName(row)} is pinned: it goes last when space is short.`);
      else say(`${memoryName(row)} is no longer pinned.`);
    }
  });
}

/** The rows that are named: by id, by the beginning of one, or by a folder (then for all models). Throws "unknown-memory". */
function chosen(rows: readonly MemoryRow[], names: readonly string[]): MemoryRow[] {
  const found = names.flatMap((name) => {
    const ofFolder = rows.filter(({ workspace }) => workspace.includes(path.resolve(name)));
    if (ofFolder.length > 0) return ofFolder;
    const [row, other] = rows.filter(({ id }) => name.length >= 3 && id.startsWith(name));
    if (row === undefined) throw new QuireError("unknown-memory", `No memory is kept of ${name}.`, { where: name });
    if (other === undefined) return [row];
    throw new QuireError("unknown-memory", `Several memories have an id that begins with ${name}.`, {
      where: name,
      nextStep: "Give more of its digits.",
    });
  });
  return [...new Set(found)];
}

function linesOf(row: MemoryRow): string {
  const figures = memoryFigures(row, Date.now());
  const read = `first read ${agoText(Date.now() - row.firstReadMs)}`;
  const folders = row.workspace.map((folder) => `\n              ${openly(folder)}`).join("");
  return `${row.id}  ${[memoryName(row), ...figures, read, ...memoryMarks(row)].join(", ")}${folders}`;
}

async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new QuireError("bad-option", `${question} Nothing was deleted: there is no terminal to ask on.`, {
      nextStep: "Run it with --yes.",
    });
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new QuireError("cancelled", "Nothing was deleted.");
  } finally {
    asking.close();
  }
}

/** What another program holds open cannot be deleted on every system. */
function sayRefused({ refusedFiles, refused }: RemovedMemory): void {
  if (refusedFiles === 0) return;
  say(`${refusedFiles} files could not be deleted (${refused}). Close what uses them and delete again.`);
  process.exitCode = 1;
}
