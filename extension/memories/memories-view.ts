// memories-view.ts — the view of memories: a list in Quire's container, there while its user manages them. It shows and asks nothing.

import * as vscode from "vscode";
import type { MemoryList, MemoryRow } from "../../engine/protocol.ts";
import { totalText } from "../../words/memories.ts";
import { memoriesViewId } from "../names.ts";
import { type MemoryItem, memoryItems } from "./memory-items.ts";

const shownKey = "quire.managingMemories";

export class MemoriesView {
  readonly #list: () => Promise<MemoryList>;
  readonly #failed: (error: unknown) => void;
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly #view: vscode.TreeView<MemoryItem>;
  /** What the rows show; undefined: nothing was listed yet. */
  #shown: MemoryItem[] | undefined;

  /** @param failed is told why the list could not be had */
  constructor(list: () => Promise<MemoryList>, failed: (error: unknown) => void) {
    this.#list = list;
    this.#failed = failed;
    this.#view = vscode.window.createTreeView<MemoryItem>(memoriesViewId, {
      treeDataProvider: {
        onDidChangeTreeData: this.#changed.event,
        getChildren: (item) => (item === undefined ? this.#rows() : []),
        getTreeItem: toTreeItem,
      },
    });
  }

  get visible(): boolean {
    return this.#view.visible;
  }

  /** The row that a menu's command is about, else the one that is selected; undefined: none is. */
  rowOf(given: unknown): MemoryRow | undefined {
    return (isItem(given) ? given : this.#view.selection[0])?.row;
  }

  async show(): Promise<void> {
    await vscode.commands.executeCommand("setContext", shownKey, true);
    await this.refresh();
    await vscode.commands.executeCommand(`${memoriesViewId}.focus`);
  }

  async hide(): Promise<void> {
    await vscode.commands.executeCommand("setContext", shownKey, false);
  }

  /**
   * Lists again. The rows are replaced when the new ones are there, and only by others: between the event and its rows the editor
   * knows no row, and a click or a key then would be about none.
   */
  async refresh(): Promise<void> {
    const items = await this.#items();
    if (JSON.stringify(items) === JSON.stringify(this.#shown)) return;
    this.#shown = items;
    this.#changed.fire(undefined);
  }

  dispose(): void {
    this.#view.dispose();
    this.#changed.dispose();
  }

  async #rows(): Promise<MemoryItem[]> {
    this.#shown ??= await this.#items();
    return this.#shown;
  }

  async #items(): Promise<MemoryItem[]> {
    try {
      const { rows, bytes, capBytes } = await this.#list();
      this.#view.message =
        rows.length === 0
          ? vscode.l10n.t("Nothing is kept. A question about a workspace keeps what it reads.")
          : totalText(rows, bytes, capBytes);
      const open = (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
      return memoryItems(rows, open, Date.now());
    } catch (error) {
      this.#view.message = vscode.l10n.t("The memories cannot be listed.");
      this.#failed(error);
      return [];
    }
  }
}

function toTreeItem({ row, label, description, tooltip, spoken, icon, context }: MemoryItem): vscode.TreeItem {
  const item = new vscode.TreeItem(label, vscode.TreeItemCollapsibleState.None);
  item.id = row.id;
  item.description = description;
  item.tooltip = tooltip;
  item.iconPath = new vscode.ThemeIcon(icon);
  item.contextValue = context;
  item.accessibilityInformation = { label: spoken };
  return item;
}

function isItem(given: unknown): given is MemoryItem {
  return typeof given === "object" && given !== null && "row" in given && "context" in given;
}
