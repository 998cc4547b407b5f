// editor.ts — VS Code as a server (code-server) with the packaged extension in it, in a folder of its own: settings, extensions,
// models and memories lie there and go with it.
//
// In: what to open and which settings. Out: an address for a browser, the logs, the processes of the engine. Nothing of the
// user's own editor or of Quire's own folder is touched: the model is linked in.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { processes } from "../engine/cli/quire.ts";
import { type Needs, smallModel } from "./needs.ts";
import { until } from "./until.ts";

/** A quiet editor: no welcome, no other assistant, no experiments, no requests. */
const quiet = {
  "workbench.startupEditor": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "extensions.autoCheckUpdates": false,
  "extensions.autoUpdate": false,
  "extensions.ignoreRecommendations": true,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "workbench.tips.enabled": false,
  "workbench.reduceMotion": "on",
  "workbench.enableExperiments": false,
  "typescript.disableAutomaticTypeAcquisition": true,
  "git.enabled": false,
  "git.autoRepositoryDetection": false,
  "window.commandCenter": false,
  "workbench.layoutControl.enabled": false,
  "files.simpleDialog.enable": true,
  "security.workspace.trust.enabled": false,
  "security.workspace.trust.startupPrompt": "never",
  "window.confirmBeforeClose": "never",
  "keyboard.dispatch": "code",
  "workbench.colorTheme": "Default Dark Modern",
};

/** The small model, little of the repository and short answers: a question takes seconds on two cores. */
export const smallAndFast = {
  "quire.model": smallModel,
  "quire.context.tokenBudget": 2000,
  "quire.answer.maxTokens": 64,
  // The engine goes with the window; what it holds afterwards would be another test's.
  "quire.engine.keepMinutes": 0,
};

export interface EditorOptions {
  settings?: Readonly<Record<string, unknown>>;
  /** Workspace trust is switched on, and not given. */
  untrusted?: boolean;
  env?: Readonly<Record<string, string>>;
  /** Command before the server's own (to run it in a network of its own). */
  wrap?: readonly string[];
  /** Where the model comes from; absent: the small one. */
  models?: readonly string[];
}

/** Environment of the process that runs the tests which the editor must not see. */
const notForEditor = /^(VSCODE_|ELECTRON_|NODE_OPTIONS$|NODE_V8_COVERAGE$|MOCHA|QUIRE_|npm_)/;

export class Editor {
  readonly folder = mkdtempSync(path.join(tmpdir(), "quire-e2e-"));
  /** Quire's own folder: models and memories. */
  readonly home = path.join(this.folder, "quire");
  url = "";
  #server: ChildProcess | undefined;
  readonly #needs: Needs;
  readonly #options: EditorOptions;

  constructor(needs: Needs, options: EditorOptions = {}) {
    this.#needs = needs;
    this.#options = options;
  }

  /** The server's process, a group of its own. */
  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  async start(): Promise<void> {
    const { folder, home } = this;
    for (const name of ["data/User", "data/Machine", "extensions", "quire/models", "empty"])
      mkdirSync(path.join(folder, name), { recursive: true, mode: 0o700 });
    writeFileSync(path.join(folder, "none.yaml"), "");
    for (const model of this.#options.models ?? [this.#needs.model]) link(model, path.join(home, "models"));
    this.setSettings({});
    this.#install();
    await this.#serve();
  }

  /** Writes the settings, as a user does who edits the files. To a server, those that belong to its machine are a file apart. */
  setSettings(changes: Readonly<Record<string, unknown>>): void {
    const { settings, untrusted } = this.#options;
    const trust = untrusted === true ? { "security.workspace.trust.enabled": true } : {};
    const all = Object.entries({ ...quiet, ...smallAndFast, ...trust, ...settings, ...changes });
    const write = (folder: string, ofQuire: boolean): void => {
      const part = Object.fromEntries(all.filter(([name]) => name.startsWith("quire.") === ofQuire));
      writeFileSync(path.join(this.folder, "data", folder, "settings.json"), JSON.stringify(part, undefined, 2));
    };
    write("User", false);
    write("Machine", true);
  }

  /** The settings file of the machine as it is now. */
  machineSettings(): string {
    return readFileSync(path.join(this.folder, "data", "Machine", "settings.json"), "utf8");
  }

  /** Address that opens a folder, or a .code-workspace file. */
  address(target: string): string {
    const kind = target.endsWith(".code-workspace") ? "workspace" : "folder";
    return `${this.url}/?${kind}=${encodeURIComponent(target)}`;
  }

  /** The ids of the engine's processes that this editor started. */
  engines(): number[] {
    return processes({ text: path.join(this.folder, "extensions") }).filter((pid) =>
      commandOf(pid).includes("engine.cjs"),
    );
  }

  /** The terminal's client, as it was installed with the extension. */
  terminal(): string {
    const extensions = path.join(this.folder, "extensions");
    const own = readdirSync(extensions).find((name) => name.startsWith("quire.quire-")) ?? "";
    return path.join(extensions, own, "dist", "cli.cjs");
  }

  /** The newest log of the extension, the extension host and the server, by name. */
  logs(): Record<string, string> {
    const found = filesUnder(path.join(this.folder, "data", "logs")).filter((file) =>
      /(quire|remoteexthost)[^/]*\.log$/i.test(file),
    );
    const all = Object.fromEntries(found.map((file) => [path.basename(file), readFileSync(file, "utf8")]));
    return { ...all, "server.log": readFileSync(path.join(this.folder, "server.log"), "utf8") };
  }

  /** What Quire wrote into its output channel. */
  quireLog(): string {
    return Object.entries(this.logs())
      .filter(([name]) => /quire/i.test(name))
      .map(([, text]) => text)
      .join("\n");
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server?.pid !== undefined && server.exitCode === null && server.signalCode === null) {
      const ended = new Promise<true>((resolve) => server.once("exit", () => resolve(true)));
      signalGroup(server.pid, "SIGTERM");
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 3_000).unref())]);
      signalGroup(server.pid, "SIGKILL");
    }
    // An engine is nobody's child; with its last window it goes by itself, unless that was killed before it said so.
    for (const engine of this.engines()) process.kill(engine, "SIGKILL");
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  get #base(): string[] {
    const at = (name: string): string => path.join(this.folder, name);
    return [
      this.#needs.entry,
      ...["--config", at("none.yaml")],
      ...["--user-data-dir", at("data")],
      ...["--extensions-dir", at("extensions")],
    ];
  }

  get #env(): NodeJS.ProcessEnv {
    const kept = Object.entries(process.env).filter(([name]) => !notForEditor.test(name));
    return {
      ...Object.fromEntries(kept),
      HOME: this.folder,
      XDG_CONFIG_HOME: path.join(this.folder, ".config"),
      XDG_DATA_HOME: path.join(this.folder, ".local"),
      XDG_CACHE_HOME: path.join(this.folder, ".cache"),
      XDG_RUNTIME_DIR: this.folder,
      // Its sockets are in there too: no window meets the engine of whoever runs the tests.
      QUIRE_HOME: this.home,
      // No gallery: the editor asks nobody for extensions.
      EXTENSIONS_GALLERY: '{"serviceUrl":""}',
      PATH: `${path.dirname(this.#needs.node)}${path.delimiter}${process.env.PATH}`,
      ...this.#options.env,
    };
  }

  #install(): void {
    const args = [...this.#base, "--install-extension", this.#needs.vsix, "--force"];
    const { status, stdout, stderr } = spawnSync(this.#needs.node, args, { env: this.#env, encoding: "utf8" });
    if (status !== 0 || !/successfully installed/.test(stdout))
      throw new Error(`the extension was not installed: ${stdout}${stderr}`);
  }

  async #serve(): Promise<void> {
    const port = await freePort();
    const trust = this.#options.untrusted === true ? [] : ["--disable-workspace-trust"];
    const quietly = ["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"];
    const bind = ["--bind-addr", `127.0.0.1:${port}`, "--auth", "none", "--ignore-last-opened"];
    const [command = "", ...args] = [
      ...(this.#options.wrap ?? []),
      this.#needs.node,
      ...this.#base,
      ...bind,
      ...quietly,
      ...trust,
    ];
    const log = openSync(path.join(this.folder, "server.log"), "w");
    const server = spawn(command, args, { env: this.#env, stdio: ["ignore", log, log], detached: true });
    closeSync(log);
    this.#server = server;
    this.url = `http://127.0.0.1:${port}`;
    await until("the start of the editor's server", () => {
      if (server.exitCode !== null) throw new Error(this.logs()["server.log"]);
      return /HTTP server listening/.test(this.logs()["server.log"] ?? "");
    });
  }
}

/** Puts a file into a folder without copying, where the file systems allow it. */
function link(file: string, folder: string): void {
  const target = path.join(folder, path.basename(file));
  try {
    linkSync(file, target);
  } catch {
    copyFileSync(file, target);
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

function filesUnder(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => path.join(folder, name))
      .sort();
  } catch {
    return [];
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
