// editor-engine.ts — the engine as the editor's parts use it: the supervisor, with settings and workspace as they are at each request.

import { randomUUID } from "node:crypto";
import * as path from "node:path";
import * as vscode from "vscode";
import { type DoctorReport, type MapResult, type ModelRow, methods } from "../../engine/protocol.ts";
import type { Log } from "../services.ts";
import { type AskSettings, askSettings } from "../settings/settings.ts";
import { type EditorFolder, leftOutFolders, toWorkspace } from "../workspace/folders.ts";
import type { EngineService } from "./service.ts";
import { Supervisor } from "./supervisor.ts";

/** Settings that the process is started with. */
const processSettings = ["quire.node.path", "quire.memory.maxGB"];

export function editorFolders(): EditorFolder[] {
  return (vscode.workspace.workspaceFolders ?? []).map(({ name, uri }) => ({
    name,
    scheme: uri.scheme,
    path: uri.fsPath,
  }));
}

export function currentSettings(): AskSettings {
  const configuration = vscode.workspace.getConfiguration("quire");
  return askSettings((name) => configuration.get(name));
}

export function createEngine(context: vscode.ExtensionContext, log: Log & { show(): void }): EngineService {
  const supervisor = new Supervisor({
    program: () => ({
      command: nodeProgram() ?? process.execPath,
      args: [path.join(context.extensionPath, "dist", "engine.cjs")],
      env: { ...process.env, ELECTRON_RUN_AS_NODE: "1", ...memoryLimit() },
    }),
    client: `quire-vscode ${context.extension.packageJSON.version}`,
    log,
    crashed: (message) => {
      const said = `${message} It starts again by itself; ask again if a question was running.`;
      void vscode.window.showWarningMessage(`Quire: ${said}`, "Show Log").then((chosen) => {
        if (chosen !== undefined) log.show();
      });
    },
  });

  const workspaceFor = (settings: AskSettings): ReturnType<typeof toWorkspace> => {
    const documents = vscode.workspace.textDocuments.map((document) => ({
      scheme: document.uri.scheme,
      path: document.uri.fsPath,
      dirty: document.isDirty && !document.isUntitled,
      text: () => document.getText(),
    }));
    const { include, exclude } = settings;
    return toWorkspace(editorFolders(), documents, { include, exclude, trusted: vscode.workspace.isTrusted });
  };

  const watching = vscode.workspace.onDidChangeConfiguration((change) => {
    if (processSettings.some((name) => change.affectsConfiguration(name))) void supervisor.restart();
  });

  return {
    get state() {
      return supervisor.state;
    },
    get progress() {
      return supervisor.progress;
    },
    onDidChangeState: (listener) => supervisor.onDidChangeState(listener),
    ask: async (question, events, signal) => {
      const settings = currentSettings();
      for (const sentence of settings.refused) events.notice(sentence);
      const leftOut = leftOutFolders(editorFolders());
      if (leftOut !== undefined) events.notice(leftOut);
      if (!vscode.workspace.isTrusted)
        events.notice("This workspace is not trusted: its files are listed without git.");
      const params = {
        id: randomUUID(),
        workspace: workspaceFor(settings),
        settings: settings.engine,
        question: question.question,
        ...(question.selection === undefined ? {} : { selection: question.selection }),
        thread: question.thread,
        fresh: false,
        maxTokens: settings.maxTokens,
        sampling: settings.sampling,
      };
      return supervisor.ask(params, events, signal);
    },
    map: (signal) => {
      const settings = currentSettings();
      const params = { id: randomUUID(), workspace: workspaceFor(settings), settings: settings.engine };
      return supervisor.request<MapResult>(methods.map, params, signal);
    },
    listModels: () => supervisor.request<ModelRow[]>(methods.listModels, {}),
    fetchModel: async (name, onProgress, signal) => {
      const listening = supervisor.onFetching((event) => {
        if (event.name === name) onProgress(event);
      });
      try {
        return await supervisor.request<ModelRow>(methods.fetchModel, { name }, signal);
      } finally {
        listening.dispose();
      }
    },
    removeModel: async (name) => void (await supervisor.request<null>(methods.removeModel, { name })),
    doctor: () => supervisor.request<DoctorReport>(methods.doctor, {}),
    restart: () => supervisor.restart(),
    dispose: () => {
      watching.dispose();
      supervisor.dispose();
    },
  };
}

/** The user's own Node, where the editor's cannot be used; never from the workspace (the setting has machine scope). */
function nodeProgram(): string | undefined {
  const given = vscode.workspace.getConfiguration("quire").inspect<string>("node.path")?.globalValue;
  return typeof given === "string" && given !== "" ? given : undefined;
}

function memoryLimit(): { QUIRE_MEMORY_GB?: string } {
  const given = vscode.workspace.getConfiguration("quire").get("memory.maxGB");
  return typeof given === "number" && given >= 0 ? { QUIRE_MEMORY_GB: String(given) } : {};
}
