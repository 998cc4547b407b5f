// map.ts — `quire map`: documents and tokens as a tree, and what is left out, by reason.

import { type DocumentRow, type MapResult, methods } from "../protocol.ts";
import { type EngineOptions, parseSettings, parseWorkspace } from "./options.ts";
import { bytes, printJson } from "./output.ts";
import { withEngine } from "./session.ts";

export async function map(options: EngineOptions & { json?: boolean }): Promise<void> {
  const workspace = await parseWorkspace(options);
  const settings = parseSettings(options);
  const result = await withEngine(({ request }) => request<MapResult>(methods.map, { id: "map", workspace, settings }));
  if (options.json === true) printJson(result);
  else process.stdout.write(`${render(result)}\n`);
}

interface Folder {
  tokens: number;
  folders: Map<string, Folder>;
  files: DocumentRow[];
}

const emptyFolder = (): Folder => ({ tokens: 0, folders: new Map(), files: [] });

function toTree(documents: readonly DocumentRow[]): Folder {
  const root = emptyFolder();
  for (const document of documents) {
    const segments = document.path.split("/");
    let folder = root;
    folder.tokens += document.tokens;
    for (const segment of segments.slice(0, -1)) {
      const next = folder.folders.get(segment) ?? emptyFolder();
      folder.folders.set(segment, next);
      next.tokens += document.tokens;
      folder = next;
    }
    folder.files.push(document);
  }
  return root;
}

function render(result: MapResult): string {
  const lines: string[] = [];
  const row = (tokens: number, indent: number, name: string, note: string): void => {
    lines.push(`${String(tokens).padStart(9)}  ${"  ".repeat(indent)}${name}${note}`);
  };
  const walk = (folder: Folder, indent: number): void => {
    const folders = [...folder.folders].sort(([, a], [, b]) => b.tokens - a.tokens);
    for (const [name, child] of folders) {
      row(child.tokens, indent, `${name}/`, "");
      walk(child, indent + 1);
    }
    for (const file of folder.files.sort((a, b) => b.tokens - a.tokens)) {
      row(
        file.tokens,
        indent,
        file.path.split("/").at(-1) ?? file.path,
        file.detail === "full" ? "" : `  (${file.detail})`,
      );
    }
  };
  const shown = result.documents.filter((document) => document.detail !== "off");
  walk(toTree(shown), 0);
  row(result.usedTokens, 0, "in all", `, of a budget of ${result.budgetReason}`);
  const reasons = new Map<string, string[]>();
  for (const { path, reason } of result.leftOut) reasons.set(reason, [...(reasons.get(reason) ?? []), path]);
  if (reasons.size > 0) lines.push("", "Left out:");
  for (const [reason, paths] of [...reasons].sort(([, a], [, b]) => b.length - a.length)) {
    const some = paths.slice(0, 5).join(", ");
    lines.push(
      `  ${reason}: ${paths.length === 1 ? some : `${paths.length} files (${some}${paths.length > 5 ? ", …" : ""})`}`,
    );
  }
  lines.push("", `${result.model}: ${bytes(result.memoryBytes)} of memory for the model and what it reads.`);
  return lines.join("\n");
}
