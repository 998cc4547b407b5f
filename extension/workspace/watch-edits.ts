// watch-edits.ts — the editor's news of edits in the workspace, handed to FollowEdits; off where the user does not want it.

import * as vscode from "vscode";
import type { EngineService } from "../engine/service.ts";
import { FollowEdits } from "./follow-edits.ts";

export function watchEdits(engine: Pick<EngineService, "follow">): vscode.Disposable {
  const wanted = (): boolean => vscode.workspace.getConfiguration("quire").get("memory.followEdits") !== false;
  const edits = new FollowEdits({ follow: async () => (wanted() ? engine.follow() : undefined) });
  const isOurs = ({ uri }: vscode.TextDocument): boolean =>
    uri.scheme === "file" && vscode.workspace.getWorkspaceFolder(uri) !== undefined;
  const { workspace } = vscode;
  return vscode.Disposable.from(
    edits,
    workspace.onDidSaveTextDocument((document) => void (isOurs(document) && edits.saved())),
    workspace.onDidCreateFiles(() => edits.saved()),
    workspace.onDidDeleteFiles(() => edits.saved()),
    workspace.onDidRenameFiles(() => edits.saved()),
    workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (contentChanges.length > 0 && isOurs(document)) edits.typed();
    }),
  );
}
