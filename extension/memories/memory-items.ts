// memory-items.ts — the rows of the view of memories: what each shows, says to a screen reader, and can be asked to do. Pure.

import type { MemoryRow } from "../../engine/protocol.ts";
import { agoText, memoryFigures, memoryMarks, memoryName, memorySentence } from "../../words/memories.ts";

export interface MemoryItem {
  row: MemoryRow;
  label: string;
  description: string;
  tooltip: string;
  /** For a screen reader. */
  spoken: string;
  /** A theme icon's name. */
  icon: "pinned" | "database" | "archive";
  /** What the menus of package.json go by. */
  context: "memory.pinned" | "memory.unpinned" | "rest";
}

/** @param open folders of the workspace that is open */
export function memoryItems(rows: readonly MemoryRow[], open: readonly string[], nowMs: number): MemoryItem[] {
  return rows.map((row) => {
    const { kind, pinned, workspace, firstReadMs } = row;
    const isOpen =
      workspace.length > 0 && workspace.length === open.length && workspace.every((folder) => open.includes(folder));
    const here = isOpen ? ["this workspace"] : [];
    const figures = [...here, ...memoryFigures(row, nowMs)];
    const marks = memoryMarks(row);
    return {
      row,
      label: memoryName(row),
      description: [...figures, ...marks].join(", "),
      tooltip: [...workspace, figures.join(", "), `first read ${agoText(nowMs - firstReadMs)}`, ...marks].join("\n"),
      spoken: isOpen ? `This workspace: ${memorySentence(row, nowMs)}` : memorySentence(row, nowMs),
      icon: kind === "rest" ? "archive" : pinned ? "pinned" : "database",
      context: kind === "rest" ? "rest" : pinned ? "memory.pinned" : "memory.unpinned",
    };
  });
}
