// engine-failure.ts — the one error of everything that talks to the engine: a code of the engine's list, a sentence, the next step.
//
// Made from what the engine answered, or from what became of its process. Knows no editor.

import * as z from "zod/mini";

const failure = z.object({
  code: z.string(),
  message: z.string(),
  nextStep: z.string(),
  where: z.optional(z.string()),
});

export class EngineFailure extends Error {
  override readonly name = "EngineFailure";
  readonly code: string;
  readonly nextStep: string;
  /** The model, file or setting that it is about. */
  readonly where: string | undefined;

  constructor(code: string, message: string, nextStep: string, where?: string) {
    super(message);
    this.code = code;
    this.nextStep = nextStep;
    this.where = where;
  }
}

/** The failure that a thrown thing is: its own, the one in a JSON-RPC error's data, or "internal". */
export function toEngineFailure(error: unknown): EngineFailure {
  if (error instanceof EngineFailure) return error;
  // By its shape: where modules are loaded twice (tests), there are two classes of this name.
  if (error instanceof Error && error.name === "EngineFailure") return fromShape(error) ?? internal(error);
  const data = error instanceof Error && "data" in error ? error.data : undefined;
  return fromShape(data) ?? internal(error);
}

function fromShape(thrown: unknown): EngineFailure | undefined {
  const parsed = failure.safeParse(thrown);
  if (!parsed.success) return undefined;
  const { code, message, nextStep, where } = parsed.data;
  return new EngineFailure(code, message, nextStep, where);
}

function internal(error: unknown): EngineFailure {
  return new EngineFailure("internal", error instanceof Error ? error.message : String(error), "See the log.");
}

/** What a request fails with that its user stopped. */
export const stopped = (): EngineFailure => new EngineFailure("cancelled", "Stopped.", "");
