// errors.ts — the one error class of the engine. A code of the list below, a sentence, and the user's next step.
// A leaf: imports nothing.

/** Every failure a user can meet, with what to do next where it is the same each time. */
export const nextSteps = {
  "bad-option": "Check the option's range with --help.",
  "no-such-folder": "Give an existing folder with --root.",
  "empty-workspace": "Choose a folder with source files, or loosen include and exclude.",
  "budget-too-small": "Raise the token budget.",
  "budget-too-large": "Lower the token budget.",
  "unknown-model": "See the names with `quire models list`, or give the path of a .gguf file.",
  "unknown-memory": "See what is kept with `quire memories`.",
  "model-missing": "Fetch it with `quire models fetch`.",
  "model-corrupt": "Fetch it again with `quire models fetch`.",
  "download-failed": "Check the network or proxy and run it again; what has arrived is kept.",
  "disk-full": "Free some space and run it again; what has arrived is kept.",
  "invalid-model": "The file is damaged or not made for this engine; fetch it again or choose another.",
  "unsupported-model": "Choose a llama or qwen2 model in one of the supported quantisations.",
  "out-of-memory": "Lower the token budget or choose a smaller model.",
  busy: "Wait for the running answer or cancel it.",
  disposed: "Start the engine again.",
  cancelled: "",
  "memory-full": "Start a new thread or raise the token budget.",
  "backend-refused": "See `quire doctor` for the reason.",
  "device-fault": "Start the engine again; if it happens again, set the backend to the CPU.",
  internal: "Please report this with the output of `quire doctor`.",
} as const;

export type ErrorCode = keyof typeof nextSteps;

export class QuireError extends Error {
  override readonly name = "QuireError";
  readonly code: ErrorCode;
  /** The file, option or tensor that it is about. */
  readonly where: string | undefined;
  readonly nextStep: string;

  constructor(code: ErrorCode, message: string, options: { where?: string; nextStep?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.where = options.where;
    this.nextStep = options.nextStep ?? nextSteps[code];
  }
}
