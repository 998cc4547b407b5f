// choose.ts — which model answers: the one asked for, or the best that this machine reads the repository with in good time.
//
// In: the wish ("auto", a catalog name, a path), free memory, the planned tokens and measured speeds. Out: an entry or a path,
// with one sentence that says why. Pure: it looks at no disk, measures nothing and fetches nothing.
import { numberText } from "../../words/figures.ts";
import { QuireError } from "../errors.ts";
import { catalog as allModels, findModel, type ModelEntry, memoryNeed } from "./catalog.ts";

/** Longest reading time that "auto" accepts for the better model. */
export const patienceSeconds = 600;

/**
 * How much dearer a multiply-add of attention is than one of the weights. From llama.cpp's fall from 138 to 52 tokens/s (1.5B)
 * and 287 to 99 (0.5B) between depth 0 and 8k (DESIGN §11): 3.1 and 1.9. A measured value should be given instead.
 */
const defaultAttentionCost = 2.5;

export interface ChooseInput {
  requested: string;
  /** Bytes that may be used. */
  availableBytes: number;
  plannedTokens: number;
  /** Prefill speed on this machine with little in memory, by model name. A missing one is scaled from another by size. */
  tokensPerSecond: Readonly<Record<string, number>>;
  attentionCost?: number;
}

export type ModelChoice =
  | { kind: "catalog"; entry: ModelEntry; reason: string }
  | { kind: "file"; path: string; reason: string };

/** What the speed of a model depends on. */
type Sized = Pick<ModelEntry, "geometry">;

/** Multiply-adds of the layers' matrices for one token; the output head runs once only and is left out. */
function linearWork({ geometry: g }: Sized): number {
  return g.layers * (g.embedding * g.headSize * (2 * g.heads + 2 * g.kvHeads) + 3 * g.embedding * g.feedForward);
}

/** Seconds to read `tokens` tokens: weights' work per token plus attention that grows with what is already read. */
export function readingSeconds(entry: Sized, tokens: number, tokensPerSecond: number, attentionCost?: number): number {
  const attentionPerToken = 2 * entry.geometry.layers * entry.geometry.heads * entry.geometry.headSize * (tokens / 2);
  const growth = 1 + ((attentionCost ?? defaultAttentionCost) * attentionPerToken) / linearWork(entry);
  return (tokens / tokensPerSecond) * growth;
}

/** The measured speed, or one scaled from another model's by the work of a token; undefined if nothing was measured. */
export function speedOf(
  entry: Pick<ModelEntry, "name" | "geometry">,
  tokensPerSecond: Readonly<Record<string, number>>,
): number | undefined {
  const own = tokensPerSecond[entry.name];
  if (own !== undefined && own > 0) return own;
  for (const other of allModels) {
    const speed = tokensPerSecond[other.name];
    if (speed !== undefined && speed > 0) return (speed * linearWork(other)) / linearWork(entry);
  }
  return undefined;
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} seconds`;
  return `${Math.round(seconds / 60)} minutes`;
}

/** Why not this one, or undefined if nothing speaks against it. */
function objection(entry: ModelEntry, input: ChooseInput): string | undefined {
  const need = memoryNeed(entry, input.plannedTokens);
  if (need > input.availableBytes) {
    return `it needs ${gigabytes(need)} of memory and ${gigabytes(input.availableBytes)} are free`;
  }
  const speed = speedOf(entry, input.tokensPerSecond);
  if (speed === undefined) return "its speed on this machine is not measured yet";
  const seconds = readingSeconds(entry, input.plannedTokens, speed, input.attentionCost);
  if (seconds < patienceSeconds) return undefined;
  return `reading ${numberText(input.plannedTokens)} tokens with it would take about ${duration(seconds)} here, over the limit of 10`;
}

/**
 * Chooses. "auto": the first catalog model (tests' models apart) that fits in memory and reads the planned tokens in under ten
 * minutes; if none does, the smallest. A name not in the catalog is a path if it ends in .gguf or holds a separator; anything
 * else throws "unknown-model". Memory for an explicit choice is the caller's to check (memoryNeed).
 */
export function chooseModel(input: ChooseInput): ModelChoice {
  if (input.requested !== "auto") {
    const entry = findModel(input.requested);
    if (entry !== undefined) return { kind: "catalog", entry, reason: `${entry.name}, as asked.` };
    if (/\.gguf$|[/\\]/i.test(input.requested)) {
      return { kind: "file", path: input.requested, reason: `${input.requested}, as asked.` };
    }
    const names = allModels.map((model) => model.name).join(", ");
    throw new QuireError(
      "unknown-model",
      `There is no model named ${JSON.stringify(input.requested)}; known are ${names}.`,
      {
        where: input.requested,
      },
    );
  }
  const candidates = allModels.filter((model) => !model.testOnly);
  const objections: string[] = [];
  for (const [index, entry] of candidates.entries()) {
    const against = objection(entry, input);
    const last = index === candidates.length - 1;
    if (against !== undefined && !last) {
      objections.push(`${entry.name} was not taken: ${against}`);
      continue;
    }
    if (against !== undefined) objections.push(`it is the smallest there is, although ${against}`);
    const speed = speedOf(entry, input.tokensPerSecond);
    const why =
      objections.length > 0
        ? objections.join("; ")
        : `the best that fits: ${numberText(input.plannedTokens)} tokens take about ${duration(
            readingSeconds(entry, input.plannedTokens, speed ?? 1, input.attentionCost),
          )} to read`;
    return { kind: "catalog", entry, reason: `${entry.name}: ${why}.` };
  }
  throw new QuireError("internal", "The catalog holds no model for use.", { where: "catalog.json" });
}
