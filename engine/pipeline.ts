// pipeline.ts — the way of a question, stage by stage: collect, plan, render, tokenize, prefill, look up, generate, cite.
//
// The only file that joins the stages; it holds no cleverness of its own. DESIGN §4 says why each stage is as it is.

import type { GenerateResult, Selection } from "../native/index.d.ts";
import type { Budget } from "./budget.ts";
import { createCiteIndex } from "./cite/cite-index.ts";
import { citeEvidence } from "./cite/evidence.ts";
import { isNotFoundAnswer } from "./cite/notes.ts";
import { resolveCitations } from "./cite/resolve.ts";
import type { ReadDocument } from "./cite/types.ts";
import { folderStates } from "./collect/repository-state.ts";
import { type Generated, generate } from "./generate.ts";
import type { OpenModel } from "./open-model.ts";
import { pagesFor } from "./prefill/documents.ts";
import type { HeldMemory, ReadOutcome } from "./prefill/held-memory.ts";
import { fitTurns, joinTurns, type ThreadRecords } from "./prefill/thread-records.ts";
import { outlinePath, type Prepared, prologuePath } from "./prepare.ts";
import type {
  AskParams,
  AskResult,
  EngineSettings,
  LogEvent,
  RepositoryState,
  StageEvent,
  Workspace,
} from "./protocol.ts";
import {
  type BuiltQuestion,
  buildQuestion,
  outlinesOf,
  type Posed,
  type RenderedRegion,
  spellTurn,
} from "./question.ts";

/** Files named as loaded, at most. */
const mostLoaded = 20;
/** Tokens of question, template and a thread's turns that find room behind a memory that is edited in place. */
const aroundTail = 2048;

export interface PipelineEvents {
  stage: (event: StageEvent) => void;
  text: (event: { id: string; text: string }) => void;
  notice: (message: string) => void;
  log: (level: LogEvent["level"], message: string) => void;
}

export interface AnswerInput {
  params: AskParams;
  model: OpenModel;
  memory: HeldMemory;
  prepared: Prepared;
  budget: Budget;
  posed: Posed;
  /** Tokens that documents, thread and answer may take together. */
  contextTokens: number;
  threads: ThreadRecords;
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
  const read = repositoryState(params.workspace, prepared, signal);
  read.catch(() => {}); // awaited at the end, also when reading fails first

  // prefill
  const reservedPages = pagesFor(input.posed.lookUpTokens + params.maxTokens + aroundTail);
  const outcome = await memory.read(
    prepared.documents,
    signal,
    (progress) => events.stage({ id, stage: "reading", ...progress }),
    input.now,
    params.settings.exact ? undefined : { beginningsOf: model.beginningsOf, reservedPages },
  );

  const kept = outcome.reusedTokens - outcome.restoredTokens;
  events.log(
    "info",
    `${kept} tokens in memory, ${outcome.restoredTokens} restored from disk, ${outcome.prefilledTokens} read in ${outcome.seconds.toFixed(1)} s, ` +
      `${outcome.patchedTokens} in place`,
  );

  // look up
  events.stage({ id, stage: "looking up" });
  const question = await buildQuestion(params, prepared, input.posed, model, signal);
  const tail = await withThread(input, question, signal, events);
  const tailBegan = input.now();
  const tailOutcome = await memory.readTail(tail, isDense(params.settings), signal, (done, total) => {
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
  const { regions, preface, opening } = question;
  const first = [preface === "" ? "" : `${preface}\n\n`, opening].join("");
  if (first !== "") events.text({ id, text: first });
  const generated = await generate(model, memory, params, toSelection(params.settings), signal, {
    text: (text) => events.text({ id, text }),
    now: input.now,
  });

  // cite
  const { written, stop } = generated;
  const answer = (opening + written).trim();
  input.threads.remember(
    params.thread.id,
    params.thread.turns,
    { question: params.question, ...(params.selection === undefined ? {} : { selection: params.selection }), answer },
    Int32Array.from([...question.tokens, ...generated.tokens]),
  );
  const loaded = loadedFiles(generated.result, memory);
  const index = createCiteIndex(readDocuments(prepared, regions), outlinesOf(prepared));
  const named = resolveCitations(written, index, { pageMass: new Map(loaded.map(({ path, share }) => [path, share])) });
  const silent = named.citations.length === 0 && !isNotFoundAnswer(written);
  const cited = silent ? citeEvidence(written, regionDocuments(regions)) : named;
  return {
    question: params.question,
    model: model.name,
    preface,
    answer,
    marked: (opening + cited.marked).trim(),
    stop,
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
    state: { ...(await read), reading: outcome.patchedTokens > 0 ? "edited in place" : "whole" },
    stats: stats(outcome, { ...tailOutcome, seconds: tailSeconds }, promptTokens, generated, input),
  };
}

/** What was read, by commit; no git is run where it may not. */
async function repositoryState(
  { folders, trusted }: Workspace,
  { rendered, read, commits }: Prepared,
  signal: AbortSignal,
): Promise<Omit<RepositoryState, "reading">> {
  const files = [...rendered.keys()].flatMap((path) => read.get(path) ?? []);
  const texts = files.map(({ file: { absolutePath }, text }) => ({ absolutePath, text }));
  return {
    folders: trusted ? await folderStates(folders, texts, commits, signal) : [],
    unsavedFiles: files.filter(({ file }) => file.text !== undefined).length,
  };
}

/** The thread's earlier turns before the question: from the ids that they were, or from their words; the oldest yield. */
async function withThread(
  input: AnswerInput,
  question: BuiltQuestion,
  signal: AbortSignal,
  events: PipelineEvents,
): Promise<Int32Array> {
  const { params, model, memory, prepared } = input;
  const { id, turns } = params.thread;
  if (turns.length === 0) return question.tokens;
  const between = model.chat.afterAnswer;
  const spelled: Int32Array[] = [];
  for (const turn of turns) spelled.push(await spellTurn(turn, prepared, params.workspace.folders, model, signal));
  const known = input.threads.recall(id, turns);
  const asTheyWere = spelled.map((ids, index) => known[index] ?? ids);
  const documents = memory.tokens - memory.tailTokens;
  const room = input.contextTokens - documents - question.tokens.length - params.maxTokens;
  const chosen = fitTurns(asTheyWere, spelled, between.length, room);
  if (chosen.dropped > 0) {
    const first = chosen.dropped === 1 ? "question and its answer" : `${chosen.dropped} questions and their answers`;
    events.notice(`The thread is longer than what fits: the first ${first} were left out.`);
  }
  events.log(
    "debug",
    `thread of ${turns.length} turns: ${known.length} as they were in memory, ${chosen.dropped} left out, room for ${room} tokens`,
  );
  return joinTurns(chosen.turns, between, question.tokens);
}

/** DESIGN §6's defaults, with what the user chose. */
export function toSelection(settings: EngineSettings): Selection {
  const { pageBudget, vote, denseLayers } = settings.selection;
  return {
    pageBudget: isDense(settings) || pageBudget === "dense" ? 0 : pageBudget,
    vote,
    spreadFactor: 1,
    sinkPages: 1,
    recentPages: 4,
    denseLayers,
    force: false,
    observe: false,
  };
}

/** How the repository is read: undefined densely. Never sparsely where everything else is dense, and with a list per KV head. */
export function toReading(settings: EngineSettings): Selection | undefined {
  const { readingBudget = "dense", vote } = settings.selection;
  if (settings.exact || readingBudget === "dense") return undefined;
  const agreed = vote === "per-head" ? "softmax" : vote;
  return { ...toSelection(settings), pageBudget: readingBudget, vote: agreed };
}

function isDense(settings: EngineSettings): boolean {
  return settings.exact || settings.selection.pageBudget === "dense";
}

function readDocuments(prepared: Prepared, regions: readonly RenderedRegion[]): ReadDocument[] {
  const files = [...prepared.rendered].map(([path, { detail }]) => ({
    path,
    detail,
    text: prepared.read.get(path)?.text ?? "",
  }));
  return [...files, ...regionDocuments(regions)];
}

function regionDocuments(regions: readonly RenderedRegion[]): ReadDocument[] {
  return regions.map(({ region: { path, text, startLine } }) => ({ path, detail: "full", text, firstLine: startLine }));
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
function meter({ memory, contextTokens }: AnswerInput): AskResult["meter"] {
  const threadTokens = memory.tailTokens;
  const memoryTokens = memory.tokens - threadTokens;
  return { memoryTokens, threadTokens, freeTokens: Math.max(0, contextTokens - memory.tokens) };
}

function stats(
  outcome: ReadOutcome,
  tail: { reusedTokens: number; prefilledTokens: number; seconds: number },
  promptTokens: number,
  { result, firstTokenMs }: Generated,
  input: AnswerInput,
): AskResult["stats"] {
  return {
    promptTokens,
    reusedTokens: outcome.reusedTokens + tail.reusedTokens,
    prefilledTokens: outcome.prefilledTokens + tail.prefilledTokens,
    patchedTokens: outcome.patchedTokens,
    prefillSeconds: outcome.seconds + tail.seconds,
    decodedTokens: result.tokens.length,
    draftedTokens: result.drafted,
    acceptedTokens: result.accepted,
    decodeTokensPerSecond: result.tokens.length / Math.max(result.seconds, 1e-3),
    timeToFirstTokenMs: Math.round((firstTokenMs ?? input.now()) - input.beganMs),
    pagesScored: result.pagesScored,
    pagesSelected: result.pagesSelected,
    pagesAttended: result.pagesAttended,
    pagesTotal: result.pagesTotal,
    backend: input.model.native.info.backend,
  };
}
