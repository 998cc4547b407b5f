// editor-engine.ts — the engine as the editor's parts use it: the supervisor, with settings and workspace as they are at each request.

import * as path from "node:path";
import * as vscode from "vscode";
import { type MapResult, type ModelRow, methods, type Workspace } from "../../engine/protocol.ts";
import { bytesText } from "../../words/figures.ts";
import { sayWithLog } from "../editor-words.ts";
import type { Services } from "../services.ts";
import { type AskSettings, askSettings, folderSettings } from "../settings/settings.ts";
import { toWorkspace } from "../workspace/folders.ts";
import { toEngineFailure } from "./engine-failure.ts";
import type { EngineService } from "./service.ts";
import { Supervisor } from "./supervisor.ts";

/** Settings that the process is started with. */
const processSettings = ["quire.node.path", "quire.memory.maxGB", "quire.memory.location"];

/** Settings and workspace as they are now, and what has to be said about them. */
function now(): { settings: AskSettings; workspace: Workspace; notices: string[] } {
  const configuration = vscode.workspace.getConfiguration("quire");
  const settings = askSettings((name) => configuration.get(name));
  const refused = new Set(settings.refused);
  const folders = (vscode.workspace.workspaceFolders ?? []).map(({ name, uri }) => {
    const own = vscode.workspace.getConfiguration("quire", uri);
    const { refused: here, ...settings } = folderSettings((setting) => own.get(setting));
    for (const sentence of here) refused.add(sentence);
    return { name, scheme: uri.scheme, path: uri.fsPath, settings };
  });
  const documents = vscode.workspace.textDocuments.map((document) => ({
    scheme: document.uri.scheme,
    path: document.uri.fsPath,
    dirty: document.isDirty && !document.isUntitled,
    text: () => document.getText(),
  }));
  const { isTrusted } = vscode.workspace;
  const { workspace, notices } = toWorkspace(folders, documents, isTrusted);
  const untrusted = vscode.l10n.t("This workspace is not trusted: its files are listed without git.");
  return { settings, workspace, notices: [...refused, ...notices, ...(isTrusted ? [] : [untrusted])] };
}

export function createEngine(context: vscode.ExtensionContext, log: Services["log"]): EngineService {
  const supervisor = new Supervisor({
    program: () => ({
      command: ownPath("node.path") ?? process.execPath,
      args: [path.join(context.extensionPath, "dist", "engine.cjs")],
      env: { ...process.env, ELECTRON_RUN_AS_NODE: "1", ...proxy(), ...memoryLimit(), ...memoryLocation() },
    }),
    client: `a window of the editor (${vscode.workspace.name ?? "no folder"})`.slice(0, 200),
    keepMinutes: () => {
      const given: unknown = vscode.workspace.getConfiguration("quire").get("engine.keepMinutes");
      return typeof given === "number" && given >= 0 && given <= 1440 ? given : undefined;
    },
    log,
    crashed: (message) => {
      const said = vscode.l10n.t(
        "{0} The engine starts again by itself; ask again if a question was running.",
        message,
      );
      void sayWithLog(vscode.window.showWarningMessage, said, log);
    },
  });

  const watching = vscode.workspace.onDidChangeConfiguration((change) => {
    if (processSettings.some((name) => change.affectsConfiguration(name))) void supervisor.restart();
  });

  return {
    get state() {
      return supervisor.state;
    },
    get memory() {
      return supervisor.memory;
    },
    onDidChange: (listener) => supervisor.onDidChange(listener),
    ask: async (question, events, signal) => {
      const { settings, workspace, notices } = now();
      for (const sentence of notices) events.notice(sentence);
      const params = {
        id: crypto.randomUUID(),
        workspace,
        settings: settings.engine,
        question: question.question,
        ...(question.selection === undefined ? {} : { selection: question.selection }),
        thread: question.thread,
        fresh: false,
        maxTokens: settings.maxTokens,
        sampling: settings.sampling,
      };
      try {
        return await supervisor.ask({ ...params, mayFetch: false }, events, signal);
      } catch (error) {
        const { code, where } = toEngineFailure(error);
        if (code !== "model-missing" || where === undefined) throw error;
        const row = (await supervisor.request<ModelRow[]>(methods.listModels, {})).find(({ name }) => name === where);
        if (row === undefined || !(await mayDownload(row))) throw error;
        return supervisor.ask({ ...params, mayFetch: true }, events, signal);
      }
    },
    map: async (signal) => {
      const { settings, workspace, notices } = now();
      const params = { id: crypto.randomUUID(), workspace, settings: settings.engine, mayFetch: false };
      return { ...(await supervisor.request<MapResult>(methods.map, params, signal)), notices };
    },
    follow: async () => {
      const { settings, workspace } = now();
      const params = { id: crypto.randomUUID(), workspace, settings: settings.engine, mayFetch: false };
      try {
        const done = await supervisor.follow(params);
        if (done !== undefined && done.encodedTokens > 0)
          log.info(`Memory follows edits: ${done.encodedTokens} tokens read again in ${done.seconds.toFixed(1)} s.`);
      } catch (error) {
        log.debug(`Memory does not follow edits: ${toEngineFailure(error).message}`);
      }
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
    listMemories: () => supervisor.request(methods.listMemories, {}),
    pinMemory: (id, pinned) => supervisor.request(methods.pinMemory, { id, pinned }),
    removeMemory: (id) => supervisor.request(methods.removeMemory, { id }),
    readMemoryAgain: (id) => supervisor.request(methods.readMemoryAgain, { id }),
    removeMemories: () => supervisor.request(methods.removeMemories, {}),
    restart: () => supervisor.stopEngine(),
    dispose: () => {
      watching.dispose();
      supervisor.dispose();
    },
  };
}

/** Nothing of a gigabyte is fetched unasked. */
async function mayDownload({ title, bytes, bytesOnDisk, licence }: ModelRow): Promise<boolean> {
  const rest = bytes - bytesOnDisk;
  const what = `${title}, ${bytesText(rest)}${bytesOnDisk > 0 ? ` of ${bytesText(bytes)} left` : ""}, ${licence}`;
  const message = vscode.l10n.t(
    "Quire answers with a model on this machine, which has to be downloaded once ({0}).",
    what,
  );
  const detail = vscode.l10n.t(
    "The panel shows the progress; Stop keeps what has arrived. No file of the workspace is sent anywhere.",
  );
  const download = vscode.l10n.t("Download");
  return (await vscode.window.showInformationMessage(message, { modal: true, detail }, download)) === download;
}

/** A path of the user's own settings; never from the workspace (such settings have machine scope). */
function ownPath(name: string): string | undefined {
  const given: unknown = vscode.workspace.getConfiguration("quire").inspect(name)?.globalValue;
  return typeof given === "string" && given.trim() !== "" ? given.trim() : undefined;
}

/** The editor's own proxy, where the environment names none. */
function proxy(): { HTTPS_PROXY?: string } {
  const given: unknown = vscode.workspace.getConfiguration("http").inspect("proxy")?.globalValue;
  const isNamed = (process.env.HTTPS_PROXY ?? process.env.https_proxy ?? "") !== "";
  return isNamed || typeof given !== "string" || given === "" ? {} : { HTTPS_PROXY: given };
}

function memoryLocation(): { QUIRE_MEMORY_FOLDER?: string } {
  const given = ownPath("memory.location");
  return given === undefined ? {} : { QUIRE_MEMORY_FOLDER: given };
}

function memoryLimit(): { QUIRE_MEMORY_GB?: string } {
  const given = vscode.workspace.getConfiguration("quire").get("memory.maxGB");
  return typeof given === "number" && given >= 0 ? { QUIRE_MEMORY_GB: String(given) } : {};
}
