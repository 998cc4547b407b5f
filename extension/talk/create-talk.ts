// create-talk.ts — joins talk, panel and explain with the editor: commands, views, what the panel's user wishes. Decides nothing.

import * as vscode from "vscode";
import type { PanelState } from "../../media/messages.ts";
import { Explain } from "../explain/explain.ts";
import type { CommandName, Commands } from "../names.ts";
import { PlaceOpener } from "../panel/open-place.ts";
import { PanelController, type PanelWish } from "../panel/panel-controller.ts";
import { PanelViews } from "../panel/panel-views.ts";
import type { Services } from "../services.ts";
import { watchChanges } from "../workspace/watch-changes.ts";
import type { Change } from "./conversation.ts";
import { KeptFile } from "./kept-file.ts";
import { askForQuestion } from "./question-box.ts";
import { type Storage, Talk } from "./talk.ts";
import { chooseThread, copyTurn, forgetThreads, saveThread } from "./thread-commands.ts";

type OtherCommand = "quire.showPlan" | "quire.chooseModel" | "quire.restartEngine" | `quire.memories.${string}`;
type TalkCommand = Exclude<CommandName, OtherCommand>;

export interface TalkParts {
  commands: Commands<TalkCommand>;
  views: PanelViews;
  dispose(): void;
}

/** Makes everything; what the storage holds is looked at when the first panel or command wants it. */
export function createTalk(context: vscode.ExtensionContext, services: Services): TalkParts {
  const { engine, log } = services;
  const changes = new vscode.EventEmitter<Change>();
  let opened: Talk | undefined;
  const talk = (): Talk => {
    if (opened !== undefined) return opened;
    opened = new Talk({
      ask: (question, events, signal) => engine.ask(question, events, signal),
      newId: () => crypto.randomUUID(),
      now: Date.now,
      storage: storageOf(context, log),
    });
    opened.onDidChange((change) => changes.fire(change));
    return opened;
  };

  let answering = false;
  changes.event(() => {
    if (answering === talk().current.working) return;
    answering = !answering;
    void vscode.commands.executeCommand("setContext", "quire.answering", answering);
  });
  const stateChanged = (): void => changes.fire({ kind: "turns" });

  const opener = new PlaceOpener();
  const controller = new PanelController({
    source: { state: () => panelState(talk(), services), onDidChange: (listener) => changes.event(listener) },
    act: (wish) => void act(wish).catch((error: unknown) => log.error(`The panel's "${wish.type}" failed: ${error}`)),
    warn: (message) => log.warn(message),
  });
  const views = new PanelViews(context.extensionUri, controller);
  const canAsk = (): boolean => {
    const hindrance = services.hindrance();
    if (hindrance !== undefined) void sayHindrance(hindrance);
    return hindrance === undefined;
  };

  async function act(wish: PanelWish): Promise<void> {
    switch (wish.type) {
      case "ask":
        if (canAsk()) talk().followUp(wish.question);
        return;
      case "ask again":
        if (canAsk()) talk().askAgain(wish.turn);
        return;
      case "stop":
        return talk().stop();
      case "new thread":
        return talk().newThread();
      case "open":
        return opener.open(wish.path, wish.line);
      case "copy":
        return copyTurn(talk(), wish.turn);
      case "export":
        return saveThread(talk());
      case "open settings":
        return vscode.commands.executeCommand("quire.openSettings");
      case "choose model":
        return vscode.commands.executeCommand("quire.chooseModel");
      case "show log":
        return vscode.commands.executeCommand("quire.showLog");
    }
  }

  /** @param given a question from a key binding's `args`; without one the user is asked */
  async function ask(given: unknown): Promise<void> {
    if (!canAsk()) return;
    const question = typeof given === "string" ? given : await askForQuestion(talk().history);
    if (question === undefined) return;
    talk().ask(question);
    await views.reveal(false);
  }

  const explain = new Explain({ talk, canAsk, showPanel: () => views.reveal(false) });
  const held = vscode.Disposable.from(
    explain,
    engine.onDidChange(stateChanged),
    services.onDidChangeHindrance(stateChanged),
    { dispose: () => opened?.dispose() },
    watchChanges((paths) => opened?.filesChanged(paths)),
    views,
    controller,
    opener,
    changes,
  );
  return {
    commands: {
      "quire.ask": ask,
      "quire.stop": () => talk().stop(),
      "quire.openPanelInEditor": () => views.openTab(),
      "quire.newThread": async () => {
        talk().newThread();
        await views.reveal(true);
      },
      "quire.openThread": async () => {
        if (await chooseThread(talk())) await views.reveal(true);
      },
      "quire.exportThread": () => saveThread(talk()),
      "quire.forgetThreads": () => forgetThreads(talk()),
      ...explain.commands,
    },
    views,
    dispose: () => held.dispose(),
  };
}

/** Without a folder there is no place for a file; nor is there anything to ask about. */
function storageOf({ storageUri, workspaceState }: vscode.ExtensionContext, log: Services["log"]): Storage {
  return storageUri?.scheme === "file"
    ? new KeptFile(storageUri.fsPath, (message) => log.warn(message))
    : workspaceState;
}

function panelState(talk: Talk, { engine, hindrance }: Services): PanelState {
  const { id, turns, reading, meter } = talk.current;
  const why = hindrance();
  return {
    thread: { id, turns },
    engine: engine.state,
    ...(reading === undefined ? {} : { reading }),
    ...(meter === undefined ? {} : { meter }),
    history: [...talk.history],
    ...(why === undefined ? {} : { hindrance: why }),
  };
}

async function sayHindrance(hindrance: string): Promise<void> {
  const open = vscode.l10n.t("Open Folder");
  if ((await vscode.window.showWarningMessage(hindrance, open)) === open)
    await vscode.commands.executeCommand("workbench.action.files.openFolder");
}
