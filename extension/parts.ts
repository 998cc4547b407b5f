// parts.ts — everything that the editor's start-up does without: the engine, the talk with its panel, plan, models, memories. Made
// when a command or a view first wants it. Wires, and decides nothing.

import * as vscode from "vscode";
import { createEngine } from "./engine/editor-engine.ts";
import type { EngineService } from "./engine/service.ts";
import { createMemories } from "./memories/manage-memories.ts";
import { chooseModel } from "./models/choose-model.ts";
import type { Commands } from "./names.ts";
import type { PanelViews } from "./panel/panel-views.ts";
import type { Services } from "./services.ts";
import { createPlan } from "./settings/show-plan.ts";
import { createTalk } from "./talk/create-talk.ts";
import { hindranceOf } from "./workspace/folders.ts";
import { watchEdits } from "./workspace/watch-edits.ts";

export interface Parts {
  engine: EngineService;
  commands: Commands;
  views: PanelViews;
  dispose(): void;
}

export function createParts(context: vscode.ExtensionContext, log: Services["log"]): Parts {
  const engine = createEngine(context, log);
  const services: Services = {
    engine,
    log,
    // Asked with every state of the panel: what a folder is, not its settings.
    hindrance: () => hindranceOf((vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri)),
    onDidChangeHindrance: (listener) => vscode.workspace.onDidChangeWorkspaceFolders(() => listener()),
  };
  const plan = createPlan(services);
  const talk = createTalk(context, services);
  const memories = createMemories(services);
  const edits = watchEdits(engine);
  return {
    engine,
    commands: {
      ...talk.commands,
      ...memories.commands,
      "quire.showPlan": () => plan.show(),
      "quire.chooseModel": () => chooseModel(services),
      "quire.restartEngine": () => engine.restart(),
    },
    views: talk.views,
    dispose: () => {
      talk.dispose();
      plan.dispose();
      memories.dispose();
      edits.dispose();
      engine.dispose();
    },
  };
}
