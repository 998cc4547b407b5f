// messages.ts — every message between the extension host and the panel's webview, both ways, as schemas and their types.
//
// A leaf: imports nothing of ours. The host owns the conversation and sends it whole (`state`) when a panel is ready and when
// something changes; text of an answer comes in pieces (`text`). The panel sends what the user did. Both sides parse what they
// get and drop, with a line in the log, what does not fit.

import * as z from "zod/mini";

/** Characters; the engine takes no more. */
export const longestQuestion = 200_000;

const count = z.number().check(z.int(), z.nonnegative());

const detail = z.enum(["full", "outline", "name", "off"]);

const place = z.object({ path: z.string(), line: count });

const scope = z.object({ path: z.string(), startLine: count, endLine: count });

/** What is being done for a turn. Reading counts tokens, fetching counts bytes. */
const progress = z.discriminatedUnion("stage", [
  z.object({ stage: z.literal("waiting"), ahead: z.optional(count) }),
  z.object({ stage: z.literal("starting") }),
  z.object({ stage: z.literal("collecting") }),
  z.object({ stage: z.literal("planning") }),
  z.object({ stage: z.literal("opening model") }),
  z.object({ stage: z.literal("tokenizing") }),
  z.object({ stage: z.literal("looking up") }),
  z.object({ stage: z.literal("answering") }),
  z.object({
    stage: z.enum(["reading", "reading question"]),
    done: count,
    total: count,
    tokensPerSecond: z.number(),
    secondsLeft: z.number(),
  }),
  z.object({
    stage: z.literal("fetching"),
    model: z.string(),
    done: count,
    total: count,
    bytesPerSecond: z.number(),
    secondsLeft: z.nullable(z.number()),
  }),
]);

const citation = z.object({
  index: count,
  path: z.string(),
  line: count,
  text: z.string(),
  verified: z.boolean(),
  choices: z.array(place),
});

export const panelMeter = z.object({ memoryTokens: count, threadTokens: count, freeTokens: count });

const documentRow = z.object({ path: z.string(), detail, tokens: count });
const leftOutRow = z.object({ path: z.string(), reason: z.string(), detail: z.optional(z.string()) });

/** What was or will be read: known before reading begins. */
export const panelReading = z.object({
  model: z.string(),
  tokenBudget: count,
  budgetReason: z.string(),
  usedTokens: count,
  documents: z.array(documentRow),
  leftOut: z.array(leftOutRow),
});

const repositoryState = z.object({
  folders: z.array(z.object({ folder: z.string(), commit: z.string(), branch: z.string(), changedFiles: count })),
  unsavedFiles: count,
  reading: z.enum(["whole", "edited in place"]),
});

const answer = z.object({
  model: z.string(),
  preface: z.string(),
  /** Markdown with [n] markers after what is cited. */
  marked: z.string(),
  stop: z.enum(["stop-token", "length", "cancelled", "full", "repeats"]),
  citations: z.array(citation),
  lookedUp: z.array(z.object({ ...scope.shape, tokens: count, why: z.string() })),
  loaded: z.array(z.object({ path: z.string(), share: z.number() })),
  /** Which state of the repository was read; absent in answers kept by an older version. */
  state: z.optional(repositoryState),
  stats: z.object({
    promptTokens: count,
    reusedTokens: count,
    prefilledTokens: count,
    patchedTokens: z.optional(count),
    prefillSeconds: z.number(),
    decodedTokens: count,
    decodeTokensPerSecond: z.number(),
    timeToFirstTokenMs: z.number(),
    pagesScored: count,
    pagesSelected: count,
    pagesAttended: count,
    pagesTotal: count,
    backend: z.string(),
  }),
});

/** What the user can do about a failure; each is a button. */
const remedy = z.enum(["ask again", "choose model", "open settings", "show log", "new thread"]);

/** `nextStep` is a sentence for an editor's user; `remedies` are its buttons, best first. */
const failure = z.object({
  code: z.string(),
  message: z.string(),
  nextStep: z.string(),
  remedies: z.array(remedy),
});

/** A question and what became of it. `text` is what was streamed so far; `answer` comes with the end. */
export const panelTurn = z.object({
  id: z.string(),
  /** Milliseconds since 1970. */
  askedAt: count,
  question: z.string(),
  scope: z.optional(scope),
  state: z.enum(["working", "done", "stopped", "failed"]),
  progress: z.optional(progress),
  text: z.string(),
  answer: z.optional(answer),
  /** Paths of files that the answer read and that changed since. */
  changedSince: z.optional(z.array(z.string())),
  failure: z.optional(failure),
  /** Sentences the engine said meanwhile (a budget was chosen, a mirror is used). */
  notices: z.array(z.string()),
});

const percent = z.number();

const engineState = z.discriminatedUnion("state", [
  z.object({ state: z.literal("stopped") }),
  z.object({ state: z.literal("starting") }),
  z.object({ state: z.literal("fetching"), percent }),
  /** Listing, planning, opening the model, counting tokens. */
  z.object({ state: z.literal("preparing") }),
  z.object({ state: z.literal("reading"), percent }),
  z.object({ state: z.literal("ready") }),
  z.object({ state: z.literal("answering") }),
  z.object({ state: z.literal("failed"), message: z.string() }),
]);

const panelState = z.object({
  thread: z.object({ id: z.string(), turns: z.array(panelTurn) }),
  engine: engineState,
  reading: z.optional(panelReading),
  meter: z.optional(panelMeter),
  /** Earlier questions, newest first. */
  history: z.array(z.string()),
  /** Why nothing can be asked here, and what to do (no folder is open); absent: one can. */
  hindrance: z.optional(z.string()),
});

/** From the extension host to the panel. */
export const toPanel = z.discriminatedUnion("type", [
  z.object({ type: z.literal("state"), state: panelState }),
  /** Only the progress of the turn in work. */
  z.object({ type: z.literal("progress"), turn: z.string(), progress }),
  /** More text of the answer in work. */
  z.object({ type: z.literal("text"), turn: z.string(), text: z.string() }),
  /** Put the cursor into the question box. */
  z.object({ type: z.literal("focus") }),
]);

/** From the panel to the extension host. */
export const toHost = z.discriminatedUnion("type", [
  z.object({ type: z.literal("ready") }),
  z.object({ type: z.literal("ask"), question: z.string().check(z.maxLength(longestQuestion)) }),
  z.object({ type: z.literal("stop") }),
  z.object({ type: z.literal("ask again"), turn: z.string() }),
  z.object({ type: z.literal("new thread") }),
  z.object({ type: z.literal("open"), path: z.string(), line: count }),
  z.object({ type: z.literal("copy"), turn: z.string() }),
  z.object({ type: z.literal("export") }),
  z.object({ type: z.literal("open settings") }),
  z.object({ type: z.literal("choose model") }),
  z.object({ type: z.literal("show log") }),
  /** Something in the panel broke; for the log. */
  z.object({ type: z.literal("report"), message: z.string() }),
]);

export type ToPanel = z.infer<typeof toPanel>;
export type ToHost = z.infer<typeof toHost>;
export type PanelState = z.infer<typeof panelState>;
export type PanelTurn = z.infer<typeof panelTurn>;
export type PanelProgress = z.infer<typeof progress>;
export type PanelAnswer = z.infer<typeof answer>;
export type PanelCitation = z.infer<typeof citation>;
export type PanelReading = z.infer<typeof panelReading>;
export type PanelFailure = z.infer<typeof failure>;
export type Remedy = z.infer<typeof remedy>;
export type EngineState = z.infer<typeof engineState>;
