// pipeline.ts — the way of a question, stage by stage: collect, plan, render, tokenize, prefill, look up, generate, cite.
//
// The only file that joins the stages; it holds no cleverness of its own. DESIGN §4 says why each stage is as it is.

import type { GenerateOptions, GenerateResult, Selection } from "../native/index.d.ts";
import { type Budget, contextFor } from "./budget.ts";
import { createCiteIndex } from "./cite/cite-index.ts";
import { explainMissing } from "./cite/notes.ts";
import { resolveCitations } from "./cite/resolve.ts";
import type { ReadDocument } from "./cite/types.ts";
import { languageOf } from "./languages.ts";
import { lookUp } from "./lookup/look-up.ts";
import type { LookupResult, Region } from "./lookup/types.ts";
import type { OpenModel } from "./open-model.ts";
import type { Outline } from "./outline/outline.ts";
import type { HeldMemory, ReadOutcome } from "./prefill/held-memory.ts";
import { outlinePath, type Prepared, prologuePath } from "./prepare.ts";
import type { AskParams, AskResult, EngineSettings, LookedUp, StageEvent } from "./protocol.ts";
import { renderQuestion, renderRegion } from "./render/prompt.ts";

/** Tokens of what memory holds already that are repeated before the question: a few seconds of reading. */
const repeatedTokens = 600;
/** Files named as loaded, at most. */
const mostLoaded = 20;

export interface PipelineEvents {
  stage: (event: StageEvent) => void;
  text: (event: { id: string; text: string }) => void;
}

export interface AnswerInput {
  params: AskParams;
  model: OpenModel;
  memory: HeldMemory;
  prepared: Prepared;
  budget: Budget;
  lookUpTokens: number;
  /** When the request came in, for the time to the first token. */
  beganMs: number;
  now: () => number;
}

/** Prefills what is missing, looks up, answers, cites. Throws "cancelled" when stopped before the answer began. */
export async function answerQuestion(
  input: AnswerInput,
  signal: AbortSignal,
  events: PipelineEvents,
): Promise<AskResult> {
  const { params, model, memory, prepared } = input;
  const { id } = params;

  // prefill
  const outcome = await memory.read(prepared.documents, signal, (progress) =>
    events.stage({ id, stage: "reading", ...progress }),
  );

  // look up
  events.stage({ id, stage: "looking up" });
  const found = await lookUpFor(input, signal);
  const regions = await renderRegions(found.regions, model, input.lookUpTokens, signal);
  const preface = explainMissing(params.question, found.namedFiles, []);
  const text = renderQuestion(
    params.question,
    regions.map((region) => region.text),
    found,
  );
  const opening = explainMissing(params.question, [], found.missing);
  const tail = await questionTokens(text, opening, model, signal);
  const tailBegan = input.now();
  await memory.appendTail(tail, signal, (done, total) => {
    const tokensPerSecond = done / Math.max((input.now() - tailBegan) / 1000, 1e-3);
    events.stage({
      id,
      stage: "reading question",
      done,
      total,
      tokensPerSecond,
      secondsLeft: (total - done) / tokensPerSecond,
    });
  });
  const tailSeconds = (input.now() - tailBegan) / 1000;
  const promptTokens = memory.tokens;

  // score, select, attend, sample
  events.stage({ id, stage: "answering" });
  const first = [preface === "" ? "" : `${preface}\n\n`, opening].join("");
  if (first !== "") events.text({ id, text: first });
  const generated = await generate(input, signal, events);

  // cite
  const written = model.tokenizer.decode(generated.result.tokens);
  const loaded = loadedFiles(generated.result, memory);
  const index = createCiteIndex(readDocuments(prepared, regions), outlinesOf(prepared));
  const cited = resolveCitations(written, index, { pageMass: new Map(loaded.map(({ path, share }) => [path, share])) });
  return {
    question: params.question,
    model: model.name,
    preface,
    answer: (opening + written).trim(),
    marked: (opening + cited.marked).trim(),
    stop: generated.result.stop,
    citations: cited.citations.map(({ index, path, line, text, verified, choices, anchor }) => ({
      index,
      path,
      line,
      text: verified ? text : written.slice(anchor.start, anchor.end),
      verified,
      choices: choices ?? [],
    })),
    documents: prepared.rows,
    leftOut: prepared.leftOut,
    lookedUp: regions.map(({ row }) => row),
    tokenBudget: input.budget.tokens,
    budgetReason: input.budget.reason,
    meter: meter(input),
    loaded: loaded.slice(0, mostLoaded),
    stats: stats(outcome, { tokens: tail.length, seconds: tailSeconds }, promptTokens, generated, input),
  };
}

interface RenderedRegion {
  region: Region;
  text: string;
  row: LookedUp;
}

/**
 * Regions that memory lacks; where it holds every file, the best few lines again: near the question a small model finds them.
 */
async function lookUpFor(input: AnswerInput, signal: AbortSignal): Promise<LookupResult> {
  const { prepared, model } = input;
  const inMemory = new Map(
    prepared.rows.flatMap(({ path, detail }) =>
      path === prologuePath || path === outlinePath || detail === "off" ? [] : [[path, detail] as const],
    ),
  );
  const { files } = prepared.collected;
  const includeHeld = files.every(({ path }) => inMemory.get(path) === "full");
  const request = {
    question: input.params.question,
    files,
    inMemory,
    outlines: outlinesOf(prepared),
    budgetTokens: includeHeld ? Math.min(repeatedTokens, input.lookUpTokens) : input.lookUpTokens,
    includeHeld,
  };
  return lookUp(request, (text) => model.tokenizer.encode(text).length, signal);
}

async function renderRegions(
  regions: readonly Region[],
  model: OpenModel,
  budget: number,
  signal: AbortSignal,
): Promise<RenderedRegion[]> {
  const texts = regions.map((region) => renderRegion(region, languageOf(region.path)));
  const tokens = await model.encoder.encodeAll(texts, signal);
  const rendered: RenderedRegion[] = [];
  let used = 0;
  for (const [index, region] of regions.entries()) {
    const count = tokens[index]?.length ?? 0;
    if (used + count > budget) continue;
    used += count;
    const { path, startLine, endLine, why } = region;
    rendered.push({ region, text: texts[index] ?? "", row: { path, startLine, endLine, why, tokens: count } });
  }
  // The best region last: nearest to the question.
  return rendered.reverse();
}

/**
 * The question as the model reads it, and the beginning of its answer where that is known: a name that a search of the whole
 * workspace did not find is said to be missing by Quire, not by the model, which would invent something; it goes on from there.
 */
async function questionTokens(
  text: string,
  opening: string,
  model: OpenModel,
  signal: AbortSignal,
): Promise<Int32Array> {
  const [question, begun] = await model.encoder.encodeAll([text, opening], signal);
  return Int32Array.from([...(question ?? []), ...model.chat.afterQuestion, ...(begun ?? [])]);
}

interface Generated {
  result: GenerateResult;
  firstTokenMs: number | undefined;
}

async function generate(input: AnswerInput, signal: AbortSignal, events: PipelineEvents): Promise<Generated> {
  const { params, model, memory } = input;
  const decoder = model.tokenizer.stream();
  let firstTokenMs: number | undefined;
  let streamed = 0;
  const show = (tokens: Int32Array): void => {
    firstTokenMs ??= input.now();
    streamed += tokens.length;
    const text = decoder.push(tokens);
    if (text !== "") events.text({ id: params.id, text });
  };
  const options: GenerateOptions = {
    maxTokens: params.maxTokens,
    sampling: params.sampling,
    selection: toSelection(params.settings),
    stopTokens: model.chat.stopTokens,
    pageMass: true,
  };
  const result = await memory.generate(options, signal, show);
  // Tokens are handed over by a queue of their own; those still in it when the result came are taken from the result.
  if (streamed < result.tokens.length) show(result.tokens.subarray(streamed));
  const rest = decoder.end();
  if (rest !== "") events.text({ id: params.id, text: rest });
  return { result, firstTokenMs };
}

/** DESIGN §6's defaults, with what the user chose. */
export function toSelection(settings: EngineSettings): Selection {
  const { pageBudget, vote, denseLayers } = settings.selection;
  return {
    pageBudget: settings.exact || pageBudget === "dense" ? 0 : pageBudget,
    vote,
    spreadFactor: 1,
    sinkPages: 1,
    recentPages: 4,
    denseLayers,
    force: false,
    observe: false,
  };
}

function readDocuments(prepared: Prepared, regions: readonly RenderedRegion[]): ReadDocument[] {
  const files = [...prepared.rendered].map(([path, { detail }]) => ({
    path,
    detail,
    text: prepared.read.get(path)?.text ?? "",
  }));
  const added = regions.map(({ region: { path, text, startLine } }) => ({
    path,
    detail: "full" as const,
    text,
    firstLine: startLine,
  }));
  return [...files, ...added];
}

/** Outlines of the files that were read, by path. */
function outlinesOf(prepared: Prepared): Map<string, Outline> {
  return new Map(
    [...prepared.read].flatMap(([path, { outline }]) => (outline === undefined ? [] : [[path, outline] as const])),
  );
}

/** Attention mass of the answer by file, as shares; the tail, the outline and the instructions are not files. */
function loadedFiles(result: GenerateResult, memory: HeldMemory): AskResult["loaded"] {
  const mass = result.pageMass;
  if (mass === null) return [];
  const firstPages = memory.firstPages();
  const byFile = memory.documents.map(({ path }, index) => {
    const begin = firstPages[index] ?? 0;
    const end = firstPages[index + 1] ?? mass.length;
    return { path, share: mass.subarray(begin, end).reduce((sum, value) => sum + value, 0) };
  });
  const files = byFile.filter(({ path }) => path !== prologuePath && path !== outlinePath);
  const total = files.reduce((sum, { share }) => sum + share, 0);
  if (total === 0) return [];
  return files.map(({ path, share }) => ({ path, share: share / total })).sort((a, b) => b.share - a.share);
}

/** What the context holds now. */
function meter({ params, memory, budget }: AnswerInput): AskResult["meter"] {
  const memoryTokens = memory.documents.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const threadTokens = memory.tokens - memoryTokens;
  const freeTokens = Math.max(0, contextFor(budget.tokens, params.maxTokens) - memory.tokens);
  return { memoryTokens, threadTokens, freeTokens };
}

function stats(
  outcome: ReadOutcome,
  tail: { tokens: number; seconds: number },
  promptTokens: number,
  { result, firstTokenMs }: Generated,
  input: AnswerInput,
): AskResult["stats"] {
  return {
    promptTokens,
    reusedTokens: outcome.reusedTokens,
    prefilledTokens: outcome.prefilledTokens + tail.tokens,
    prefillSeconds: outcome.seconds + tail.seconds,
    decodedTokens: result.tokens.length,
    decodeTokensPerSecond: result.tokens.length / Math.max(result.seconds, 1e-3),
    timeToFirstTokenMs: Math.round((firstTokenMs ?? input.now()) - input.beganMs),
    pagesScored: result.pagesScored,
    pagesSelected: result.pagesSelected,
    pagesAttended: result.pagesAttended,
    pagesTotal: result.pagesTotal,
    backend: input.model.native.info.backend,
  };
}
