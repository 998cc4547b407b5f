// native.ts — finds and loads the addons; the only file that does. The surface of both is native/index.d.ts.
//
// quire.node runs everywhere; quire-cuda.node is the same with the CUDA backend in it, and which of them answers is for
// backends.ts to say. Looked for beside the bundle (a packaged build), then in the checkout's build folder. QUIRE_ADDON and
// QUIRE_CUDA_ADDON name others.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import type * as Addon from "../native/index.d.ts";
import { type ErrorCode, nextSteps, QuireError } from "./errors.ts";
import { here } from "./here.ts";

export type Native = typeof Addon;

let loaded: Native | undefined;

/** The addon. Throws "backend-refused" with what was tried when there is none or it does not load. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

/** The file with the CUDA backend, or undefined where this installation has none. */
export function cudaAddon(): string | undefined {
  return candidatesFor("quire-cuda.node", process.env.QUIRE_CUDA_ADDON).find((file) => existsSync(file));
}

function candidatesFor(name: string, named: string | undefined): string[] {
  return named
    ? [path.resolve(named)]
    : [name, `../build/Release/${name}`, `../build/addon/Release/${name}`].map((place) => path.resolve(here, place));
}

function load(): Native {
  const candidates = candidatesFor("quire.node", process.env.QUIRE_ADDON);
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found === undefined) {
    throw new QuireError(
      "backend-refused",
      `the engine's native part was not found (looked for ${candidates.join(", ")})`,
      {
        nextStep: "Build it with `npm run setup`.",
      },
    );
  }
  return loadAddon(found);
}

/** Loads an addon into this process. Throws "backend-refused" when it does not load. */
export function loadAddon(file: string): Native {
  try {
    return createRequire(path.join(here, "addon.cjs"))(file) as Native;
  } catch (cause) {
    throw new QuireError("backend-refused", `the engine's native part does not load: ${String(cause)}`, {
      where: file,
      cause,
    });
  }
}

/** A failure of the addon as a QuireError; others unchanged. */
export function fromNative(error: unknown): unknown {
  if (error instanceof QuireError || !(error instanceof Error) || !("code" in error)) return error;
  const code = String(error.code);
  if (!(code in nextSteps)) return error;
  const where = "where" in error ? String(error.where) : undefined;
  return new QuireError(code as ErrorCode, error.message, { ...(where === undefined ? {} : { where }), cause: error });
}
