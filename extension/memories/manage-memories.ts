// manage-memories.ts — the commands of the view of memories: show it, pin, delete, read again, delete everything. Asks before anything goes.

import * as path from "node:path";
import * as vscode from "vscode";
import type { MemoryRow, RemovedMemory } from "../../engine/protocol.ts";
import { bytesText, counted } from "../../words/figures.ts";
import { everythingText, memoryName, modelsStayText } from "../../words/memories.ts";
import { longestMessage, sayFailure } from "../editor-words.ts";
import { type CommandName, type Commands, memoriesViewId } from "../names.ts";
import type { Services } from "../services.ts";
import { noticeText, rowText } from "../talk/notice-text.ts";
import { MemoriesView } from "./memories-view.ts";
import { memoryItems } from "./memory-items.ts";

type MemoryCommand = Extract<CommandName, `quire.memories.${string}`>;

export function createMemories({ engine, log }: Services): { commands: Commands<MemoryCommand>; dispose(): void } {
  const view = new MemoriesView(
    () => engine.listMemories(),
    (error) => void sayFailure(error, log),
  );
  // An answer may have kept something, or let something go.
  const watching = engine.onDidChange(() => {
    if (view.visible && engine.state.state === "ready") void view.refresh();
  });

  /** Runs `work` on the row that is meant, with a bar in the view, and lists again. */
  const onRow = (work: (row: MemoryRow) => Promise<void>) => async (given: unknown) => {
    await guarded(async () => {
      const row = view.rowOf(given) ?? (await chooseRow(engine));
      if (row !== undefined) await work(row);
    });
  };
  const guarded = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      await sayFailure(error, log);
    } finally {
      await view.refresh();
    }
  };
  const inView = <Result>(work: () => Promise<Result>): Thenable<Result> =>
    vscode.window.withProgress({ location: { viewId: memoriesViewId } }, work);

  const deleteAll = async (): Promise<void> => {
    const [{ rows, bytes }, models] = await Promise.all([engine.listMemories(), engine.listModels()]);
    const what = everythingText(rows, bytes);
    const where = models[0] === undefined ? "" : path.dirname(models[0].path);
    const stays = `${modelsStayText(models)} ${vscode.l10n.t(
      'To remove a model, delete its file in {0}. Questions and answers stay too; "Quire: Forget Questions and Answers of This Workspace" deletes them.',
      where,
    )}`;
    const sure = await confirm(
      vscode.l10n.t("Delete everything that Quire read?"),
      `${vscode.l10n.t("This deletes {0}. Every repository is read again with its next question.", what)} ${stays}`,
      vscode.l10n.t("Delete Everything"),
    );
    if (!sure) return;
    const removed = await inView(() => engine.removeMemories());
    sayRemoved(vscode.l10n.t("Everything that was read is deleted."), removed);
  };

  return {
    commands: {
      "quire.memories.show": () => view.show(),
      "quire.memories.hide": () => view.hide(),
      "quire.memories.refresh": () => view.refresh(),
      "quire.memories.pin": onRow(async ({ id }) => void (await engine.pinMemory(id, true))),
      "quire.memories.unpin": onRow(async ({ id }) => void (await engine.pinMemory(id, false))),
      "quire.memories.delete": onRow(async (row) => {
        const name = noticeText(memoryName(row));
        const sure = await confirm(
          row.kind === "rest"
            ? vscode.l10n.t("Delete what is left of earlier readings?")
            : vscode.l10n.t("Delete the memory of {0}?", name),
          row.kind === "rest"
            ? vscode.l10n.t("{0} will be free. No memory needs it.", bytesText(row.ownBytes))
            : vscode.l10n.t(
                "{0} will be free. The next question about it reads the repository again.",
                bytesText(row.ownBytes),
              ),
          vscode.l10n.t("Delete"),
        );
        if (!sure) return;
        const removed = await inView(() => engine.removeMemory(row.id));
        sayRemoved(vscode.l10n.t("{0} is deleted.", name), removed);
      }),
      "quire.memories.readAgain": onRow(async (row) => {
        const name = noticeText(memoryName(row));
        const sure = await confirm(
          vscode.l10n.t("Read {0} again?", name),
          vscode.l10n.t(
            "What is kept of it ({0}) is deleted now, and the next question about it reads {1} again.",
            bytesText(row.bytes),
            counted(row.tokens, "token"),
          ),
          vscode.l10n.t("Read Again"),
        );
        if (!sure) return;
        const removed = await inView(() => engine.readMemoryAgain(row.id));
        sayRemoved(vscode.l10n.t("{0} is read again with the next question about it.", name), removed);
      }),
      "quire.memories.deleteAll": () => guarded(deleteAll),
    },
    dispose: () => {
      watching.dispose();
      view.dispose();
    },
  };
}

/** Where no row is selected: a focused one need not be. Of one there is no choice; what is done to it is asked before. */
async function chooseRow(engine: Services["engine"]): Promise<MemoryRow | undefined> {
  const { rows } = await engine.listMemories();
  if (rows.length <= 1) return rows[0];
  const items = memoryItems(rows, [], Date.now());
  const placeHolder = vscode.l10n.t("Choose a memory");
  const chosen = await vscode.window.showQuickPick(
    items.map(({ row, label, description }) => ({ row, label: rowText(label), description: rowText(description) })),
    { placeHolder },
  );
  return chosen?.row;
}

async function confirm(question: string, detail: string, button: string): Promise<boolean> {
  return (await vscode.window.showWarningMessage(question, { modal: true, detail }, button)) === button;
}

/** What was done, or what could not be deleted: a file that another program holds open, on some systems. */
function sayRemoved(done: string, { freedBytes, refusedFiles, refused }: RemovedMemory): void {
  if (refusedFiles === 0) {
    vscode.window.setStatusBarMessage(`${done} ${vscode.l10n.t("{0} are free.", bytesText(freedBytes))}`, 5_000);
    return;
  }
  const message = vscode.l10n.t(
    "Quire: {0} files could not be deleted ({1}). Close other windows with Quire and delete again.",
    refusedFiles,
    noticeText(refused),
  );
  void vscode.window.showWarningMessage(noticeText(message, longestMessage));
}
