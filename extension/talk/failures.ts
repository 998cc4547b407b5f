// failures.ts — whatever was thrown while asking, as what a user of the editor sees: a sentence, the next step, its buttons.
//
// The engine's own next steps are written for the terminal; here they name commands and settings of the editor. Pure.

import * as z from "zod/mini";
import type { PanelFailure, Remedy } from "../../media/messages.ts";

interface Advice {
  nextStep: string;
  remedies: Remedy[];
}

const settings = (nextStep: string): Advice => ({ nextStep, remedies: ["open settings", "ask again"] });
const model = (nextStep: string): Advice => ({ nextStep, remedies: ["choose model", "ask again"] });
const again = (nextStep: string): Advice => ({ nextStep, remedies: ["ask again", "show log"] });

const internal: Advice = {
  nextStep: "See the log and report this, please.",
  remedies: ["show log", "ask again"],
};

/** By the codes of engine/errors.ts. */
const advice: Record<string, Advice> = {
  "bad-option": settings("Check Quire's settings."),
  "empty-workspace": settings(
    "Open a folder with source files, or loosen quire.context.include and quire.context.exclude.",
  ),
  "budget-too-small": settings("Raise quire.context.tokenBudget."),
  "budget-too-large": settings("Lower quire.context.tokenBudget, or set it to auto."),
  "out-of-memory": {
    nextStep: "Lower quire.context.tokenBudget, or choose a smaller model.",
    remedies: ["open settings", "choose model", "ask again"],
  },
  "unknown-model": model("Choose another model."),
  "unknown-memory": again("Look at the list of memories again: this one may be gone by now."),
  "model-missing": model("Choose a model and let Quire download it."),
  "model-corrupt": model("Choose the model again; Quire will download it anew."),
  "invalid-model": model("Download the model again, or choose another."),
  "unsupported-model": model("Choose another model."),
  "download-failed": again("Check the network or the proxy and ask again; what has arrived is kept."),
  "disk-full": again("Free some space and ask again; what has arrived is kept."),
  busy: again("Wait for the running answer, or stop it."),
  disposed: again("Ask again; the engine starts anew."),
  "backend-refused": {
    nextStep:
      "Set quire.backend to auto where it asks for a GPU; else install the Quire package made for this system. The log says what was tried.",
    remedies: ["open settings", "show log", "ask again"],
  },
  "device-fault": again("Ask again; the engine starts anew."),
  "memory-full": {
    nextStep: "Start a new thread, or raise quire.context.tokenBudget.",
    remedies: ["new thread", "open settings"],
  },
  "no-such-folder": again("Check that the workspace's folders are still there."),
  internal,
};

const thrown = z.object({
  code: z.string(),
  message: z.string(),
  nextStep: z.optional(z.string()),
});

/** A failure that can be shown. */
export function toFailure(error: unknown): PanelFailure {
  const parsed = thrown.safeParse(error);
  if (!parsed.success) {
    const message = withoutStack(error instanceof Error ? error.message : String(error));
    return { code: "internal", message, ...internal };
  }
  const { code, nextStep } = parsed.data;
  const message = withoutStack(parsed.data.message);
  const known = Object.hasOwn(advice, code) ? advice[code] : undefined;
  if (known !== undefined) return { code, message, ...known };
  return { code, message, nextStep: nextStep ?? "See the log.", remedies: ["ask again", "show log"] };
}

/** An unforeseen error brings its stack along; that is for the log. */
function withoutStack(message: string): string {
  return message.replace(/\n\s+at .*/s, "").trim();
}

/** Tells whether it is no failure but the user's stop. */
export function isStop(error: unknown): boolean {
  const parsed = thrown.safeParse(error);
  return (
    (parsed.success && parsed.data.code === "cancelled") || (error instanceof Error && error.name === "AbortError")
  );
}
