// services.ts — what main.ts hands to the parts of the extension that face the user. Types only.

import type * as vscode from "vscode";
import type { Disposable, EngineService } from "./engine/service.ts";

export interface Services {
  engine: EngineService;
  log: vscode.LogOutputChannel;
  workspace: WorkspaceService;
}

export interface WorkspaceService {
  /** Why nothing can be asked in this window, and what to do; undefined: one can. */
  hindrance(): string | undefined;
  onDidChangeHindrance(listener: () => void): Disposable;
  /** The absolute path by which the engine knows a document; undefined: it lies in no folder that the engine reads. */
  protocolPath(uri: vscode.Uri): string | undefined;
}
