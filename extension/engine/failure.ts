// failure.ts — a failure of the engine, as it came over the border or as its process made it.
// Names no editor: what an editor's user can do about it is the caller's to say.

import * as z from "zod/mini";
import type { Failure } from "../../engine/protocol.ts";

const shape = z.object({ code: z.string(), message: z.string(), nextStep: z.string() });

export class EngineFailure extends Error implements Failure {
  override readonly name = "EngineFailure";
  readonly code: string;
  readonly nextStep: string;

  constructor(code: string, message: string, nextStep = "") {
    super(message);
    this.code = code;
    this.nextStep = nextStep;
  }
}

/** Whatever a request rejected with, as an EngineFailure: JSON-RPC carries ours in `data`. */
export function toEngineFailure(error: unknown): EngineFailure {
  if (error instanceof EngineFailure) return error;
  const data = typeof error === "object" && error !== null && "data" in error ? error.data : undefined;
  const parsed = shape.safeParse(data);
  if (parsed.success) return new EngineFailure(parsed.data.code, parsed.data.message, parsed.data.nextStep);
  return new EngineFailure("internal", error instanceof Error ? error.message : String(error));
}
