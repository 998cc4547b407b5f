// native.ts — finds and loads the addon; the only file that does. Its surface is native/index.d.ts.
//
// Looked for beside the bundle (a packaged build), then in the checkout's build folder. QUIRE_ADDON names another one.

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

function load(): Native {
  const candidates = process.env.QUIRE_ADDON
    ? [process.env.QUIRE_ADDON]
    : ["quire.node", "../build/Release/quire.node", "../build/addon/Release/quire.node"].map((place) =>
        path.resolve(here, place),
      );
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
  try {
    return createRequire(path.join(here, "addon.cjs"))(found) as Native;
  } catch (cause) {
    throw new QuireError("backend-refused", `the engine's native part does not load: ${String(cause)}`, {
      where: found,
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
