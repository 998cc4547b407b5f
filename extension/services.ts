// services.ts — what the extension's commands are given by main.ts. Types only.

import type { Disposable, EngineService } from "./engine/service.ts";

/** Of the extension's log channel. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export interface Services {
  engine: EngineService;
  log: Log & { show(): void };
  /** Why nothing can be asked here, and what to do; undefined: one can. */
  hindrance(): string | undefined;
  onDidChangeHindrance(listener: () => void): Disposable;
}
