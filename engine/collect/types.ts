// types.ts — what collecting gives: the files that can be read, and those that cannot, each with its reason.

import type { Detail, UnsavedFile, WorkspaceFolder } from "../protocol.ts";

export type { WorkspaceFolder };

export interface CollectOptions {
  /** Only files that match one of these (gitignore patterns); empty: all. */
  include: string[];
  exclude: string[];
  /** False: no git is run in the workspace. */
  trusted: boolean;
  maxFileBytes: number;
  /** Texts that count instead of the disk's. */
  unsaved: readonly UnsavedFile[];
}

export interface CollectedFile {
  /** As shown: "/" between segments, the folder's name first where there are several folders. */
  path: string;
  absolutePath: string;
  bytes: number;
  modifiedMs: number;
  /** When it last changed, in milliseconds: by its last commit among the latest ones, else by its modification time. */
  changedMs: number;
  /** What its folder asks for; absent: the plan chooses. */
  wanted?: Exclude<Detail, "off">;
  /** As an editor has it and the disk has not; absent: as on disk. */
  text?: string;
}

export type Refusal =
  | "binary"
  | "too large"
  | "generated"
  | "vendored"
  | "lock file"
  | "secret-looking"
  | "outside the folder"
  | "not a file"
  | "unreadable"
  | "wrong encoding"
  | "empty"
  | "excluded";

export interface LeftOut {
  path: string;
  reason: Refusal;
  detail?: string;
}

export interface Collected {
  files: CollectedFile[];
  leftOut: LeftOut[];
  /** How each folder was listed, and why not by git where it was not. */
  listedBy: { folder: string; by: "git" | "ripgrep"; why?: string }[];
}
