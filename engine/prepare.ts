// prepare.ts — from a workspace to the documents that memory should hold: collect, plan, render, tokenize.
//
// In: a workspace, an open model, a budget. Out: documents with their token ids, in order, and everything needed to look up and to
// cite. Reads files; changes no memory.

import type { HeadCache } from "./collect/collect.ts";
import { collect } from "./collect/collect.ts";
import { realListDeps } from "./collect/list-files.ts";
import { readText } from "./collect/read-text.ts";
import type { CommitCache } from "./collect/repository-state.ts";
import type { Collected, CollectedFile, LeftOut } from "./collect/types.ts";
import { QuireError } from "./errors.ts";
import { languageOf } from "./languages.ts";
import type { OpenModel } from "./open-model.ts";
import { type Outline, outline } from "./outline/outline.ts";
import { classify, estimateTokens } from "./plan/classify.ts";
import { candidates, type PlanInput, type Previous, plan } from "./plan/plan.ts";
import { tokensOf, type WantedDocument } from "./prefill/documents.ts";
import type { DocumentRow, LeftOutRow, Workspace } from "./protocol.ts";
import { type RenderedDocument, renderFile, renderOutline } from "./render/document.ts";
import { renderOutlineTail } from "./render/outline-tail.ts";
import { documentsHeading } from "./render/prompt.ts";

/** Names of documents that are no file's. */
export const prologuePath = "(instructions)";
export const outlinePath = "(outline)";

/** The outline tail's share of the token budget at most (DESIGN §4.3). */
const outlineShare = 0.04;
export const maxFileBytes = 1_000_000;

/** A file that was read: its text and what was found in it. */
export interface ReadFile {
  file: CollectedFile;
  text: string;
  outline: Outline | undefined;
}

export interface Prepared {
  collected: Collected;
  documents: WantedDocument[];
  /** The files among them as they were read, by path. */
  rendered: ReadonlyMap<string, RenderedDocument>;
  read: ReadonlyMap<string, ReadFile>;
  rows: DocumentRow[];
  leftOut: LeftOutRow[];
  usedTokens: number;
  commits: CommitCache;
}

/** What is kept between questions, so that an unchanged file is neither read nor parsed again. */
export interface PrepareCache {
  heads: HeadCache;
  read: Map<string, ReadFile>;
  /** What the last plan came to. */
  planned: Previous;
  commits: CommitCache;
}

export function emptyPrepareCache(): PrepareCache {
  return { heads: new Map(), read: new Map(), planned: new Map(), commits: new Map() };
}

/** Lists the workspace. Throws "empty-workspace" when nothing can be read, with the commonest reason. */
export async function collectWorkspace(
  workspace: Workspace,
  cache: PrepareCache,
  signal: AbortSignal,
): Promise<Collected> {
  const { folders, include, exclude, trusted, unsaved } = workspace;
  const collected = await collect(folders, { include, exclude, trusted, maxFileBytes, unsaved }, signal, {
    ...realListDeps,
    heads: cache.heads,
  });
  if (collected.files.length > 0) return collected;
  const where = folders.map((folder) => folder.root).join(", ");
  const reasons = collected.leftOut.map(({ path, reason }) => `${path} (${reason})`).slice(0, 3);
  const detail = reasons.length === 0 ? "it is empty" : `left out were ${reasons.join(", ")}`;
  throw new QuireError("empty-workspace", `There is nothing to read in ${where}: ${detail}.`, { where });
}

/** Tokens of everything collected, estimated from sizes. */
export function estimateWorkspace(collected: Collected): number {
  return collected.files.reduce((sum, file) => sum + estimateTokens(file.bytes, file.path), 0);
}

/** Plans, renders and tokenizes what fits the budget. */
export async function prepare(
  collected: Collected,
  budget: number,
  model: OpenModel,
  cache: PrepareCache,
  signal: AbortSignal,
): Promise<Prepared> {
  const prologue = await prologueTokens(model, signal);
  const outlineBudget = Math.floor(budget * outlineShare);
  const documentBudget = budget - prologue.length - outlineBudget;
  if (documentBudget < 64) {
    throw new QuireError("budget-too-small", `A token budget of ${budget} leaves no room for files.`, {
      where: "token-budget",
    });
  }

  const estimated = collected.files.map((file) => toInput(file, estimateTokens(file.bytes, file.path)));
  const worthCounting = new Set(candidates(estimated, documentBudget, cache.planned).map((input) => input.path));
  const counted = await count(collected, worthCounting, model, cache, signal);

  const inputs = counted.map(({ read, full, outlined }) =>
    toInput(read.file, full.tokens.length, outlined?.tokens.length),
  );
  const planned = plan(inputs, documentBudget, cache.planned);
  cache.planned = new Map(planned.documents.map(({ path, detail }) => [path, detail]));

  const byPath = new Map(counted.map((entry) => [entry.read.file.path, entry]));
  const documents: WantedDocument[] = [{ path: prologuePath, tokens: prologue }];
  const rendered = new Map<string, RenderedDocument>();
  const rows: DocumentRow[] = [{ path: prologuePath, detail: "full", tokens: prologue.length }];
  for (const { path, detail } of planned.documents) {
    const entry = byPath.get(path);
    if (detail === "name") {
      rows.push({ path, detail, tokens: 0 });
      continue;
    }
    const form = detail === "full" ? entry?.full : entry?.outlined;
    if (form === undefined) continue;
    const unsaved = entry?.read.file.text === undefined ? {} : { unsaved: true };
    documents.push({ path, tokens: form.tokens, ...unsaved });
    rendered.set(path, form.document);
    rows.push({ path, detail, tokens: form.tokens.length });
  }

  const tail = renderOutlineTail(
    outlinedFiles(planned.documents, counted),
    outlineBudget,
    (text) => model.tokenizer.encode(text).length,
  );
  if (tail !== "") {
    // It names the symbols of unsaved text too.
    const isUnsaved = counted.some(({ read }) => read.file.text !== undefined);
    const [tokens] = await model.encoder.encodeAll([tail], signal, () => !isUnsaved);
    if (tokens !== undefined) {
      documents.push({ path: outlinePath, tokens, ...(isUnsaved ? { unsaved: true } : {}) });
      rows.push({ path: outlinePath, detail: "outline", tokens: tokens.length });
    }
  }
  return {
    collected,
    documents,
    rendered,
    read: new Map(counted.map(({ read }) => [read.file.path, read])),
    rows,
    leftOut: leftOutRows(collected, estimated, worthCounting, planned.leftOut),
    usedTokens: tokensOf(documents),
    commits: cache.commits,
  };
}

function toInput(file: CollectedFile, tokens: number, outlineTokens?: number): PlanInput {
  return {
    path: file.path,
    class: classify(file.path),
    changedMs: file.changedMs,
    tokens,
    ...(outlineTokens === undefined ? {} : { outlineTokens }),
    ...(file.wanted === undefined ? {} : { wanted: file.wanted }),
  };
}

async function prologueTokens(model: OpenModel, signal: AbortSignal): Promise<Int32Array> {
  const [heading] = await model.encoder.encodeAll([documentsHeading], signal);
  return Int32Array.from([...model.chat.prologue, ...(heading ?? [])]);
}

interface Form {
  document: RenderedDocument;
  tokens: Int32Array;
}

interface Counted {
  read: ReadFile;
  full: Form;
  outlined: Form | undefined;
}

/** Reads, outlines, renders and tokenizes the files named by `paths`; what cannot be read joins the left-out ones. */
async function count(
  collected: Collected,
  paths: ReadonlySet<string>,
  model: OpenModel,
  cache: PrepareCache,
  signal: AbortSignal,
): Promise<Counted[]> {
  const reads: ReadFile[] = [];
  for (const file of collected.files) {
    if (!paths.has(file.path)) continue;
    if (signal.aborted) throw new QuireError("cancelled", "Stopped.");
    const known = cache.read.get(file.path);
    if (known !== undefined && isSame(known.file, file)) {
      reads.push({ ...known, file });
      continue;
    }
    const content = file.text === undefined ? await readText(file, maxFileBytes) : { text: file.text };
    if (!("text" in content)) {
      collected.leftOut.push(content satisfies LeftOut);
      continue;
    }
    reads.push({ file, text: content.text, outline: await outline(file.path, content.text) });
  }
  // What comes from unsaved text is not kept on disk, not even as token ids.
  const isKept = (_text: string, index: number): boolean => reads[index]?.file.text === undefined;
  cache.read = new Map(reads.map((read) => [read.file.path, read]));
  const forms = reads.map((read) => {
    const language = languageOf(read.file.path);
    const symbols = read.outline?.symbols ?? [];
    return {
      full: renderFile(read.file.path, read.text, language),
      outlined: symbols.length === 0 ? undefined : renderOutline(read.file.path, symbols, language),
    };
  });
  const fullTokens = await model.encoder.encodeAll(
    forms.map((form) => form.full.text),
    signal,
    isKept,
  );
  const outlineTokens = await model.encoder.encodeAll(
    forms.map((form) => form.outlined?.text ?? ""),
    signal,
    isKept,
  );
  return reads.flatMap((read, index) => {
    const form = forms[index];
    const tokens = fullTokens[index];
    const short = outlineTokens[index];
    if (form === undefined || tokens === undefined) return [];
    const outlined =
      form.outlined === undefined || short === undefined ? undefined : { document: form.outlined, tokens: short };
    return [{ read, full: { document: form.full, tokens }, outlined }];
  });
}

/** Nothing says that the text is another than when it was read. */
function isSame(known: CollectedFile, file: CollectedFile): boolean {
  if (file.text !== undefined || known.text !== undefined) return file.text === known.text;
  return known.modifiedMs === file.modifiedMs && known.bytes === file.bytes;
}

/** Files of the outline tail: the documents in their order, then what was counted and fell out. */
function outlinedFiles(documents: readonly { path: string }[], counted: readonly Counted[]) {
  const inMemory = new Set(documents.map((document) => document.path));
  const byPath = new Map(counted.map((entry) => [entry.read.file.path, entry.read]));
  const order = [...inMemory, ...[...byPath.keys()].filter((path) => !inMemory.has(path))];
  return order.flatMap((path) => {
    const read = byPath.get(path);
    if (read === undefined) return [];
    const known = read.file.wanted === "name" ? [] : (read.outline?.symbols ?? []);
    return [{ path, symbols: known.filter((symbol) => symbol.kind !== "heading") }];
  });
}

function leftOutRows(
  collected: Collected,
  estimated: readonly PlanInput[],
  counted: ReadonlySet<string>,
  planned: readonly LeftOutRow[],
): LeftOutRow[] {
  const neverCounted = estimated
    .filter((input) => !counted.has(input.path))
    .map((input) => ({ path: input.path, reason: "over budget", detail: `about ${input.tokens} tokens in full` }));
  return [...collected.leftOut, ...planned, ...neverCounted];
}
