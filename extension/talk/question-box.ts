// question-box.ts — the box that `Quire: Ask About This Workspace` opens. Enter asks what was typed; arrow keys choose an
// earlier question. What was typed and not asked is there again the next time.

import * as vscode from "vscode";
import { rowText } from "./notice-text.ts";
import { type QuestionRow, questionRows } from "./question-items.ts";

type Item = vscode.QuickPickItem & { row?: QuestionRow };

let draft = "";

/** The question that the user wants answered; undefined: none. */
export function askForQuestion(history: readonly string[]): Promise<string | undefined> {
  const box = vscode.window.createQuickPick<Item>();
  box.title = vscode.l10n.t("Ask About This Workspace");
  box.placeholder = vscode.l10n.t("Type a question and press Enter; earlier questions are below");
  const show = (): void => {
    const items = toItems(questionRows(box.value, history));
    box.items = items;
    // With nothing typed, Enter asks nothing.
    if (box.value.trim() === "") box.activeItems = [];
  };
  box.value = draft;
  show();
  return new Promise((resolve) => {
    let question: string | undefined;
    box.onDidChangeValue(show);
    box.onDidAccept(() => {
      // Rows may lag behind the typing; the box's own text does not.
      const [chosen] = box.selectedItems;
      question = chosen?.row?.kind === "earlier" ? chosen.row.question : box.value.trim();
      if (question === "") return;
      box.hide();
    });
    box.onDidHide(() => {
      draft = question === undefined || question === "" ? box.value : "";
      resolve(question === "" ? undefined : question);
      box.dispose();
    });
    box.show();
  });
}

/** Only what was typed stands in a label: the editor sorts rows by how well their labels fit. */
function toItems(rows: readonly QuestionRow[]): Item[] {
  const typed = rows.filter(({ kind }) => kind === "typed");
  const earlier = rows.filter(({ kind }) => kind === "earlier");
  const separator = { label: vscode.l10n.t("Earlier questions"), kind: vscode.QuickPickItemKind.Separator };
  return [
    ...typed.map((row) => ({
      label: rowText(row.question),
      description: vscode.l10n.t("ask this"),
      alwaysShow: true,
      row,
    })),
    ...(earlier.length > 0 ? [separator] : []),
    ...earlier.map((row) => ({ label: "$(history)", description: rowText(row.question), alwaysShow: true, row })),
  ];
}
