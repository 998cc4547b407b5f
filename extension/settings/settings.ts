// settings.ts — the user's settings as the engine takes them.
//
// In: a reader of settings by name, with values of any kind (they come from files that people edit). Out: what an ask needs; a value
// that does not fit is replaced by the default and said. Knows no editor. package.json lists the same names, ranges and defaults.

import * as z from "zod/mini";
import type { EngineSettings, SamplingParams, WorkspaceFolder } from "../../engine/protocol.ts";
import { numberText } from "../../words/figures.ts";

export type ReadSetting = (name: string) => unknown;

export interface AskSettings {
  engine: EngineSettings;
  maxTokens: number;
  sampling: SamplingParams;
  /** Sentences about values that were not taken. */
  refused: string[];
}

const wholeNumber = (low: number, high: number): z.ZodMiniNumber => z.number().check(z.int(), z.gte(low), z.lte(high));
const whole = (low: number, high: number) => ({
  shape: wholeNumber(low, high),
  fits: `a whole number from ${numberText(low)} to ${numberText(high)}`,
});
const within = (low: number, high: number) => ({
  shape: z.number().check(z.gte(low), z.lte(high)),
  fits: `a number from ${low} to ${numberText(high)}`,
});
const yesOrNo = { shape: z.boolean(), fits: "true or false" };
const patterns = { shape: z.array(z.string()), fits: "a list of patterns", usual: [] };

/** Name, what fits, the same in words, default. */
const settings = {
  model: { name: "model", shape: z.string().check(z.minLength(1)), fits: "auto, a name or a path", usual: "auto" },
  tokenBudget: {
    name: "context.tokenBudget",
    shape: z.union([z.literal("auto"), wholeNumber(256, 100_000_000)]),
    fits: "auto, or a whole number of at least 256",
    usual: "auto" as const,
  },
  include: { name: "context.include", ...patterns },
  exclude: { name: "context.exclude", ...patterns },
  details: {
    name: "context.detail",
    shape: z.record(z.string(), z.enum(["full", "outline", "name", "off"])),
    fits: "patterns, each with full, outline, name or off",
    usual: {},
  },
  followGitignore: { name: "context.followGitignore", ...yesOrNo, usual: true },
  submodules: { name: "context.submodules", ...yesOrNo, usual: false },
  pageBudget: {
    name: "attention.pageBudget",
    shape: z.union([z.literal("dense"), wholeNumber(16, 1_000_000_000)]),
    fits: "dense, or a whole number of at least 16",
    usual: 1024,
  },
  readingBudget: {
    name: "attention.readingBudget",
    shape: z.union([z.literal("dense"), wholeNumber(256, 1_000_000_000)]),
    fits: "dense, or a whole number of at least 256",
    usual: "dense" as const,
  },
  exact: { name: "attention.exact", ...yesOrNo, usual: false },
  backend: {
    name: "backend",
    shape: z.enum(["auto", "cpu", "cuda"]),
    fits: "auto, cpu or cuda",
    usual: "auto" as const,
  },
  threads: { name: "engine.threads", ...whole(0, 1024), usual: 0 },
  maxTokens: { name: "answer.maxTokens", ...whole(16, 8192), usual: 512 },
  temperature: { name: "sampling.temperature", ...within(0, 10), usual: 0 },
  topK: { name: "sampling.topK", ...whole(0, 1_000_000), usual: 0 },
  topP: { name: "sampling.topP", ...within(0.01, 1), usual: 1 },
  minP: { name: "sampling.minP", ...within(0, 1), usual: 0 },
  repeatPenalty: { name: "sampling.repeatPenalty", ...within(0.1, 10), usual: 1 },
  seed: { name: "sampling.seed", ...whole(0, 4_294_967_295), usual: 0 },
};

/** Names below `quire.` that an ask depends on, with their defaults; package.json is held against it. */
export const settingDefaults: ReadonlyMap<string, unknown> = new Map(
  Object.values(settings).map(({ name, usual }) => [name, usual]),
);

/** @param read the value of `quire.<name>`, or undefined */
export function askSettings(read: ReadSetting): AskSettings {
  const refused: string[] = [];
  const take = <Value>(setting: Setting<Value>): Value => takeSetting(read, setting, refused);
  return {
    engine: {
      model: take(settings.model),
      tokenBudget: take<number | "auto">(settings.tokenBudget),
      selection: {
        pageBudget: take<number | "dense">(settings.pageBudget),
        readingBudget: take<number | "dense">(settings.readingBudget),
        summary: "mean-spread",
        vote: "softmax",
        denseLayers: 0,
      },
      exact: take(settings.exact),
      threads: take(settings.threads),
      cpu: "auto",
      backend: take<"auto" | "cpu" | "cuda">(settings.backend),
    },
    maxTokens: take(settings.maxTokens),
    sampling: {
      temperature: take(settings.temperature),
      topK: take(settings.topK),
      topP: take(settings.topP),
      minP: take(settings.minP),
      repeatPenalty: take(settings.repeatPenalty),
      seed: take(settings.seed),
    },
    refused,
  };
}

/** What a folder's own settings say about its files, as the engine takes it. */
export type FolderSettings = Required<Omit<WorkspaceFolder, "name" | "root">>;

export function folderSettings(read: ReadSetting): FolderSettings & { refused: string[] } {
  const refused: string[] = [];
  return {
    include: takeSetting<string[]>(read, settings.include, refused),
    exclude: takeSetting<string[]>(read, settings.exclude, refused),
    details: takeSetting<FolderSettings["details"]>(read, settings.details, refused),
    ignored: !takeSetting(read, settings.followGitignore, refused),
    submodules: takeSetting(read, settings.submodules, refused),
    refused,
  };
}

interface Setting<Value> {
  name: string;
  shape: z.ZodMiniType<Value>;
  fits: string;
  usual: Value;
}

function takeSetting<Value>(read: ReadSetting, { name, shape, fits, usual }: Setting<Value>, refused: string[]): Value {
  const given = typedNumber(read(name));
  if (given === undefined) return usual;
  const parsed = shape.safeParse(given);
  if (parsed.success) return parsed.data;
  const was = JSON.stringify(given)?.slice(0, 60) ?? String(given);
  refused.push(
    `The setting quire.${name} cannot be ${was}; ${JSON.stringify(usual)} is used instead. In the settings, give ${fits}.`,
  );
  return usual;
}

/** The settings page writes a number that may also be a word as text: "20000" is 20000. */
function typedNumber(value: unknown): unknown {
  return typeof value === "string" && /^\d{1,12}$/.test(value.trim()) ? Number(value) : value;
}
