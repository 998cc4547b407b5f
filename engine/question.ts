// question.ts — what is put behind the documents for one question: regions looked up for it, notes, the selected code, its words,
// and before it the thread's earlier turns. A joint like pipeline.ts, which calls it.
//
// In: a question with its workspace as prepared. Out: token ids and what is shown of them. Nothing of it is kept on disk.

import type { Budget } from "./budget.ts";
import { lookUpBeside } from "./budget.ts";
import { explainMissing } from "./cite/notes.ts";
import { readText } from "./collect/read-text.ts";
import { shownFile } from "./collect/shown-path.ts";
import type { CollectedFile } from "./collect/types.ts";
import { languageOf } from "./languages.ts";
import { lookUp, realLookupDeps } from "./lookup/look-up.ts";
import { referencesIn } from "./lookup/second-hop.ts";
import type { LookupDeps, LookupResult, Region } from "./lookup/types.ts";
import type { OpenModel } from "./open-model.ts";
import type { Outline } from "./outline/outline.ts";
import { maxFileBytes, outlinePath, type Prepared, prologuePath } from "./prepare.ts";
import type { AskParams, LookedUp, SelectedCode, Turn, WorkspaceFolder } from "./protocol.ts";
import { renderQuestion, renderRegion, renderSelection } from "./render/prompt.ts";

/** Tokens of what memory holds already that are repeated before the question: a few seconds of reading. */
const repeatedTokens = 600;
/** Names in selected code that are looked up besides those of the question. */
const mostSelectedNames = 8;
/** Lines before and after selected code that are added where memory lacks them. */
const neighbourLines = 12;
const nothing = { definitions: [], raises: [], missing: [] };

/** A question whose tokens are known to fit, before anything is read. */
export interface Posed {
  /** The selected code as the model reads it; "": there is none. */
  selection: string;
  lookUpTokens: number;
}

export interface RenderedRegion {
  region: Region;
  text: string;
  row: LookedUp;
}

export interface BuiltQuestion {
  regions: RenderedRegion[];
  /** Said above the answer. */
  preface: string;
  /** The answer's beginning where Quire knows it. */
  opening: string;
  tokens: Int32Array;
}

/** Renders the selection and sees that the question fits. Throws "bad-option". */
export function poseQuestion(params: AskParams, prepared: Prepared, budget: Budget, model: OpenModel): Posed {
  const { question, selection, workspace } = params;
  const held = selection !== undefined && detailOf(prepared, pathOf(selection, prepared, workspace.folders)) === "full";
  const most = held ? repeatedTokens : Math.max(repeatedTokens, budget.lookUpTokens);
  const shown = selection === undefined ? "" : showSelection(selection, most, model, prepared, workspace.folders);
  const asked = model.tokenizer.encode(shown).length + model.tokenizer.encode(question).length;
  return { selection: shown, lookUpTokens: lookUpBeside(budget, asked) };
}

/** Looks up and renders. Throws "cancelled". */
export async function buildQuestion(
  params: AskParams,
  prepared: Prepared,
  posed: Posed,
  model: OpenModel,
  signal: AbortSignal,
): Promise<BuiltQuestion> {
  const { question, selection, workspace } = params;
  const found = await lookUpFor(params, prepared, posed, model, signal);
  const path = selection === undefined ? "" : pathOf(selection, prepared, workspace.folders);
  const around = selection === undefined ? [] : await neighbours(selection, path, prepared);
  const isSelected = (region: Region): boolean =>
    selection !== undefined &&
    region.path === path &&
    region.startLine >= selection.startLine &&
    region.endLine <= selection.endLine;
  const wanted = [...around, ...found.regions.filter((region) => !isSelected(region))];
  const regions = await renderRegions(wanted, model, posed.lookUpTokens, signal);
  // Names that only the selection has are not the user's to be told about.
  const missing = found.missing.filter((name) => selection === undefined || question.includes(name));
  const text = renderQuestion(
    question,
    regions.map((region) => region.text),
    { ...found, missing },
    posed.selection,
  );
  const opening = explainMissing(question, [], missing);
  return {
    regions,
    preface: explainMissing(question, found.namedFiles, []),
    opening,
    tokens: await turnTokens(text, opening, model, signal),
  };
}

/** An earlier turn from its words alone, without what was looked up for it. */
export function spellTurn(
  turn: Turn,
  prepared: Prepared,
  folders: readonly WorkspaceFolder[],
  model: OpenModel,
  signal: AbortSignal,
): Promise<Int32Array> {
  const { question, selection, answer } = turn;
  const shown = selection === undefined ? "" : showSelection(selection, repeatedTokens, model, prepared, folders);
  return turnTokens(renderQuestion(question, [], nothing, shown), answer, model, signal);
}

/** Outlines of the files that were read, by path. */
export function outlinesOf(prepared: Prepared): Map<string, Outline> {
  return new Map(
    [...prepared.read].flatMap(([path, { outline }]) => (outline === undefined ? [] : [[path, outline] as const])),
  );
}

/**
 * A question as the model reads it, and its answer, or the beginning of it where that is known: a name that a search of the whole
 * workspace did not find is said to be missing by Quire, not by the model, which would invent something; it goes on from there.
 */
async function turnTokens(text: string, answer: string, model: OpenModel, signal: AbortSignal): Promise<Int32Array> {
  const [question, begun] = await model.encoder.encodeAll([text, answer], signal, () => false);
  return Int32Array.from([...(question ?? []), ...model.chat.afterQuestion, ...(begun ?? [])]);
}

/**
 * Regions that memory lacks; where it holds every file, the best few lines again: near the question a small model finds them.
 */
function lookUpFor(
  params: AskParams,
  prepared: Prepared,
  posed: Posed,
  model: OpenModel,
  signal: AbortSignal,
): Promise<LookupResult> {
  const inMemory = new Map(
    prepared.rows.flatMap(({ path, detail }) =>
      path === prologuePath || path === outlinePath || detail === "off" ? [] : [[path, detail] as const],
    ),
  );
  const { files } = prepared.collected;
  const includeHeld = files.every(({ path }) => inMemory.get(path) === "full");
  const names = referencesIn(params.selection?.text ?? "", mostSelectedNames).map((name) => `\`${name}\``);
  const request = {
    question: [params.question, ...names].join(" "),
    files,
    inMemory,
    outlines: outlinesOf(prepared),
    budgetTokens: includeHeld ? Math.min(repeatedTokens, posed.lookUpTokens) : posed.lookUpTokens,
    includeHeld,
  };
  return lookUp(request, (text) => model.tokenizer.encode(text).length, signal, withUnsaved(files));
}

/** The disk, but for files whose text is in an editor. */
function withUnsaved(files: readonly CollectedFile[]): LookupDeps {
  const texts = new Map(files.flatMap(({ path, text }) => (text === undefined ? [] : [[path, text] as const])));
  if (texts.size === 0) return realLookupDeps;
  return {
    search: async (among, strings, signal) => {
      const saved = among.filter(({ path }) => !texts.has(path));
      const found = await realLookupDeps.search(saved, strings, signal);
      const wanted = strings.filter((text) => text !== "").map((text) => text.toLowerCase());
      for (const { path } of among) {
        const lines = texts.get(path)?.split(/\r?\n/) ?? [];
        const hits = lines.flatMap((text, index) => {
          const lower = text.toLowerCase();
          return wanted.some((string) => lower.includes(string))
            ? [{ line: index + 1, text: text.slice(0, 1000) }]
            : [];
        });
        if (hits.length > 0) found.hits.set(path, hits);
      }
      return found;
    },
    readText: async (file) => texts.get(file.path) ?? realLookupDeps.readText(file),
  };
}

async function renderRegions(
  regions: readonly Region[],
  model: OpenModel,
  budget: number,
  signal: AbortSignal,
): Promise<RenderedRegion[]> {
  const texts = regions.map((region) => renderRegion(region, languageOf(region.path)));
  const tokens = await model.encoder.encodeAll(texts, signal, () => false);
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

/** The lines before and after the selection, where memory does not hold the file in full. */
async function neighbours(selection: SelectedCode, path: string, prepared: Prepared): Promise<Region[]> {
  const file = prepared.collected.files.find((collected) => collected.path === path);
  if (file === undefined || detailOf(prepared, path) === "full") return [];
  const content = file.text === undefined ? await readText(file, maxFileBytes) : { text: file.text };
  if (!("text" in content)) return [];
  const lines = content.text.split(/\r?\n/);
  const { startLine, endLine } = selection;
  const ranges = [
    [Math.max(1, startLine - neighbourLines), startLine - 1],
    [endLine + 1, Math.min(lines.length, endLine + neighbourLines)],
  ] as const;
  return ranges.flatMap(([from, to]) => {
    const text = lines.slice(from - 1, to).join("\n");
    if (to < from || text.trim() === "") return [];
    return [{ path, startLine: from, endLine: to, text, why: "beside the selection", score: Number.MAX_VALUE }];
  });
}

function showSelection(
  selection: SelectedCode,
  most: number,
  model: OpenModel,
  prepared: Prepared,
  folders: readonly WorkspaceFolder[],
): string {
  const path = pathOf(selection, prepared, folders);
  const text = cutToTokens(selection.text, most, model);
  return renderSelection({ ...selection, path, text }, languageOf(path));
}

/** The first lines of a text that make up at most so many tokens; of a line longer than that, its beginning. */
function cutToTokens(text: string, most: number, model: OpenModel): string {
  const ids = model.tokenizer.encode(text);
  if (ids.length <= most) return text;
  const beginning = model.tokenizer.decode(ids.subarray(0, most));
  const lastBreak = beginning.lastIndexOf("\n");
  return `${lastBreak > 0 ? beginning.slice(0, lastBreak) : beginning}\n...`;
}

function pathOf(selection: SelectedCode, prepared: Prepared, folders: readonly WorkspaceFolder[]): string {
  const file = prepared.collected.files.find(({ absolutePath }) => absolutePath === selection.path);
  return file?.path ?? shownFile(folders, selection.path);
}

function detailOf(prepared: Prepared, path: string): string | undefined {
  return prepared.rows.find((row) => row.path === path)?.detail;
}
