// options.ts — options that commands share, parsed into the protocol's settings. Every refusal names the option and its range.

import { stat } from "node:fs/promises";
import path from "node:path";
import { type Command, Option } from "commander";
import { QuireError } from "../errors.ts";
import type { EngineSettings, SamplingParams, Workspace } from "../protocol.ts";

export interface EngineOptions {
  root: string[];
  include: string[];
  exclude: string[];
  trust: boolean;
  model: string;
  tokenBudget: string;
  pageBudget: string;
  summary: "mean-spread" | "min-max";
  vote: "softmax" | "max" | "per-head";
  denseLayers: string;
  readingBudget: string;
  exact?: boolean;
  threads: string;
  cpu: string;
  backend: "auto" | "cpu" | "cuda";
}

export interface SamplingOptions {
  temperature: string;
  topK: string;
  topP: string;
  minP: string;
  repeatPenalty: string;
  seed: string;
}

const collectAll = (value: string, before: string[]): string[] => [...before, value];

/** Adds what decides about reading and attention. */
export function addEngineOptions(command: Command): Command {
  return command
    .option("--root <dir>", "folder to read; may be given several times (default: this one)", collectAll, [])
    .option("--include <glob>", "read only files that match; may be given several times", collectAll, [])
    .option("--exclude <glob>", "leave out files that match; may be given several times", collectAll, [])
    .option("--no-trust", "run no git in the folder")
    .option("--model <name>", "a name of `quire models`, a .gguf file, or auto", "auto")
    .option("--token-budget <n>", "tokens of the repository to read, or auto", "auto")
    .option("--page-budget <n|dense>", "tokens' worth of pages loaded per step and KV head, or dense", "1024")
    .addOption(
      new Option("--summary <kind>", "what is kept of a page to score it")
        .choices(["mean-spread", "min-max"])
        .default("mean-spread"),
    )
    .addOption(
      new Option("--vote <way>", "how query heads agree on pages")
        .choices(["softmax", "max", "per-head"])
        .default("softmax"),
    )
    .option("--dense-layers <n>", "first layers that load every page", "0")
    .option(
      "--reading-budget <n|dense>",
      "tokens' worth of pages loaded per KV head while the repository is read: faster for long ones, less exact",
      "dense",
    )
    .option("--exact", "dense attention everywhere")
    .option("--threads <n>", "threads of the engine; 0: one per core", "0")
    .option("--cpu <backend>", "auto, avx512-vnni, avx2 or plain", "auto")
    .addOption(
      new Option("--backend <where>", "auto: a GPU where there is one that works; cpu; cuda: a GPU or nothing")
        .choices(["auto", "cpu", "cuda"])
        .default("auto"),
    );
}

/** Adds what decides about drawing tokens. */
export function addSamplingOptions(command: Command): Command {
  return command
    .option("--temperature <x>", "0: always the likeliest token", "0")
    .option("--top-k <n>", "draw among the n likeliest; 0: off", "0")
    .option("--top-p <x>", "draw among the likeliest that make up this probability", "1")
    .option("--min-p <x>", "drop what is less likely than this times the likeliest", "0")
    .option("--repeat-penalty <x>", "above 1: tokens of the answer become less likely", "1")
    .option("--seed <n>", "of the random numbers", "0");
}

/** A number within [low, high]; throws "bad-option" naming the option. */
export function parseNumber(option: string, text: string, low: number, high: number, whole: boolean): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!(value >= low && value <= high) || (whole && !Number.isSafeInteger(value))) {
    throw new QuireError(
      "bad-option",
      `--${option} must be a ${whole ? "whole number" : "number"} from ${low} to ${high}, not ${JSON.stringify(text)}.`,
      { where: option },
    );
  }
  return value;
}

export function parseSettings(options: EngineOptions): EngineSettings {
  return {
    // A path means what it means here: the engine may run elsewhere.
    model: /\.gguf$|[/\\]/i.test(options.model) ? path.resolve(options.model) : options.model,
    tokenBudget:
      options.tokenBudget === "auto" ? "auto" : parseNumber("token-budget", options.tokenBudget, 0, 100_000_000, true),
    selection: {
      pageBudget:
        options.pageBudget === "dense" ? "dense" : parseNumber("page-budget", options.pageBudget, 16, 1e9, true),
      summary: options.summary,
      vote: options.vote,
      denseLayers: parseNumber("dense-layers", options.denseLayers, 0, 512, true),
      readingBudget:
        options.readingBudget === "dense"
          ? "dense"
          : parseNumber("reading-budget", options.readingBudget, 256, 1e9, true),
    },
    exact: options.exact === true,
    threads: parseNumber("threads", options.threads, 0, 1024, true),
    cpu: options.cpu,
    backend: options.backend,
  };
}

export function parseSampling(options: SamplingOptions): SamplingParams {
  return {
    temperature: parseNumber("temperature", options.temperature, 0, 10, false),
    topK: parseNumber("top-k", options.topK, 0, 1 << 24, true),
    topP: parseNumber("top-p", options.topP, 1e-6, 1, false),
    minP: parseNumber("min-p", options.minP, 0, 1, false),
    repeatPenalty: parseNumber("repeat-penalty", options.repeatPenalty, 0.1, 10, false),
    seed: parseNumber("seed", options.seed, 0, Number.MAX_SAFE_INTEGER, true),
  };
}

/** The folders asked for, made absolute. Throws "no-such-folder". */
export async function parseWorkspace(options: EngineOptions): Promise<Workspace> {
  const roots = options.root.length > 0 ? options.root : ["."];
  const folders = await Promise.all(
    roots.map(async (given) => {
      const root = path.resolve(given);
      const found = await stat(root).catch(() => undefined);
      if (found === undefined || !found.isDirectory()) {
        throw new QuireError("no-such-folder", `There is no folder ${root}.`, { where: given });
      }
      return { name: path.basename(root) || root, root };
    }),
  );
  return { folders, include: options.include, exclude: options.exclude, trusted: options.trust, unsaved: [] };
}
