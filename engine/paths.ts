// paths.ts — the one folder per user where models and memories live, shared by the extension and the terminal.
//
// In: environment variables and platform. Out: absolute paths; ensureFolder makes a folder that only its user may enter.
// It must not put anything into the workspace: memories hold the code that was read.
import { chmod, mkdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { QuireError } from "./errors.ts";

export interface PlatformDeps {
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  home: string;
}

const realPlatform = (): PlatformDeps => ({ env: process.env, platform: process.platform, home: homedir() });

/**
 * The per-user folder: QUIRE_HOME, else $XDG_DATA_HOME/quire or ~/.local/share/quire, ~/Library/Application Support/Quire
 * on macOS, %LOCALAPPDATA%\Quire on Windows. A relative QUIRE_HOME is refused ("bad-option"): its meaning would change with
 * the working directory. A relative XDG_DATA_HOME is ignored, as its specification asks.
 */
export function quireHome(deps: PlatformDeps = realPlatform()): string {
  const { env, platform, home } = deps;
  const at = platform === "win32" ? path.win32 : path.posix;
  const own = env.QUIRE_HOME;
  if (own !== undefined && own !== "") {
    if (!at.isAbsolute(own)) {
      throw new QuireError("bad-option", `QUIRE_HOME must be an absolute path, not ${JSON.stringify(own)}.`, {
        where: "QUIRE_HOME",
        nextStep: "Set QUIRE_HOME to an absolute path, or unset it.",
      });
    }
    return at.normalize(own);
  }
  if (platform === "win32") return at.join(env.LOCALAPPDATA || at.join(home, "AppData", "Local"), "Quire");
  if (platform === "darwin") return at.join(home, "Library", "Application Support", "Quire");
  const data = env.XDG_DATA_HOME;
  return at.join(data !== undefined && at.isAbsolute(data) ? data : at.join(home, ".local", "share"), "quire");
}

/** Where model files lie. */
export function modelsFolder(home: string = quireHome()): string {
  return path.join(home, "models");
}

/** Where token ids of texts are kept. */
export function tokensFolder(home: string = quireHome()): string {
  return path.join(home, "tokens");
}

/**
 * Where memories are kept: in the per-user folder, or in a folder of their own below QUIRE_MEMORY_FOLDER (an absolute path: a disk
 * with room). A relative one is refused ("bad-option").
 */
export function memoriesFolder(env: PlatformDeps["env"] = process.env): string {
  const given = env.QUIRE_MEMORY_FOLDER;
  if (given === undefined || given === "") return path.join(quireHome(), "memories");
  if (path.isAbsolute(given)) return path.join(given, "quire-memories");
  throw new QuireError("bad-option", `QUIRE_MEMORY_FOLDER must be an absolute path, not ${JSON.stringify(given)}.`, {
    where: "QUIRE_MEMORY_FOLDER",
    nextStep: "Set it to an absolute path, or unset it.",
  });
}

/**
 * Makes the folder and its parents (0700) and takes away what others could do in it. Throws "no-such-folder" where a file is
 * in the way or the folder may not be made.
 */
export async function ensureFolder(folder: string): Promise<string> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const found = await stat(folder);
    const ours = process.getuid === undefined || found.uid === process.getuid();
    if (process.platform !== "win32" && ours && (found.mode & 0o077) !== 0) await chmod(folder, 0o700);
  } catch (cause) {
    throw new QuireError("no-such-folder", `Quire's folder ${folder} cannot be made: ${(cause as Error).message}.`, {
      where: folder,
      nextStep: "Set QUIRE_HOME to a folder that you may write to.",
      cause,
    });
  }
  return folder;
}
