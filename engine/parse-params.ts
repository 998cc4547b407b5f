// parse-params.ts — what clients send, checked at the border. Shapes: engine/protocol.ts; ranges are said in the error.

import { z } from "zod";
import type { AskParams, InitializeParams, MapParams, MemoryParams, ModelParams, PinParams } from "./protocol.ts";

const count = z.int().nonnegative();

const folder = z.strictObject({
  name: z.string().min(1),
  root: z.string().min(1),
  include: z.array(z.string()).exactOptional(),
  exclude: z.array(z.string()).exactOptional(),
  details: z.record(z.string(), z.enum(["full", "outline", "name", "off"])).exactOptional(),
  ignored: z.boolean().exactOptional(),
  submodules: z.boolean().exactOptional(),
});

const workspace = z.strictObject({
  folders: z.array(folder).min(1),
  include: z.array(z.string()),
  exclude: z.array(z.string()),
  trusted: z.boolean(),
  unsaved: z.array(z.strictObject({ path: z.string().min(1), text: z.string() })),
});

const settings = z.strictObject({
  model: z.string().min(1),
  tokenBudget: z.union([z.literal("auto"), count.max(100_000_000)]),
  selection: z.strictObject({
    pageBudget: z.union([z.literal("dense"), z.int().min(16).max(1_000_000_000)]),
    summary: z.enum(["mean-spread", "min-max"]),
    vote: z.enum(["softmax", "max", "per-head"]),
    denseLayers: count.max(512),
    readingBudget: z.union([z.literal("dense"), z.int().min(256).max(1_000_000_000)]).exactOptional(),
  }),
  exact: z.boolean(),
  threads: count.max(1024),
  cpu: z.string(),
  backend: z.enum(["auto", "cpu", "cuda"]).exactOptional(),
});

const sampling = z.strictObject({
  temperature: z.number().min(0).max(10),
  topK: count.max(1 << 24),
  topP: z.number().min(1e-6).max(1),
  minP: z.number().min(0).max(1),
  repeatPenalty: z.number().min(0.1).max(10),
  seed: count,
});

export const initializeSchema: z.ZodType<InitializeParams> = z.strictObject({
  protocolVersion: z.int(),
  client: z.string().max(200),
  keepMinutes: z.number().min(0).max(1_440).exactOptional(),
});

export const mapSchema: z.ZodType<MapParams> = z.strictObject({
  id: z.string(),
  workspace,
  settings,
  mayFetch: z.boolean().exactOptional(),
});

const text = z.string().max(200_000);

const selection = z
  .strictObject({ path: z.string().min(1), startLine: z.int().min(1), endLine: z.int().min(1), text })
  .refine(({ startLine, endLine }) => startLine <= endLine, "the selection ends before it begins");

const turn = z.strictObject({ question: text, selection: selection.exactOptional(), answer: z.string() });

export const askSchema: z.ZodType<AskParams> = z.strictObject({
  id: z.string(),
  workspace,
  settings,
  question: text.refine((asked) => asked.trim() !== "", "the question is empty"),
  selection: selection.exactOptional(),
  thread: z.strictObject({ id: z.string().min(1), turns: z.array(turn) }),
  fresh: z.boolean(),
  mayFetch: z.boolean().exactOptional(),
  maxTokens: z.int().min(1).max(1_000_000),
  sampling,
});

export const modelSchema: z.ZodType<ModelParams> = z.strictObject({ name: z.string().min(1) });

const memoryId = z.string().regex(/^[0-9a-f]{12}$/, "an id of `quire memories` has 12 digits");

export const memorySchema: z.ZodType<MemoryParams> = z.strictObject({ id: memoryId });

export const pinSchema: z.ZodType<PinParams> = z.strictObject({ id: memoryId, pinned: z.boolean() });
