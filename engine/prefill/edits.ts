// edits.ts — what must be encoded again where a memory holds an older state of the repository, and what may stay.
//
// In: the documents held and wanted, where each may be cut, where lines begin. Out: steps that turn one into the other, or undefined
// where reading again from the first difference is as cheap or safer. Pure: token ids and indices, no text, no memory.
// Method (DESIGN §5): what changed is encoded at its place, seeing all that lies before it; what lies behind keeps its keys and values,
// although they were made in view of the old text. So whatever is kept begins with a whole top-level block, or at least a whole line.

import { isSameDocument, pageTokens, tokensOf, type WantedDocument } from "./documents.ts";
import { type Hunk, hunksOf } from "./hunks.ts";

/** What begins at a token: nothing, a line, or a line without indentation. */
export const beginning = { none: 0, line: 1, block: 2 } as const;

/** For each token of a document what begins there; [tokens], values of `beginning`. */
export type BeginningsOf = (tokens: Int32Array) => Uint8Array;

/** Tokens [from, to) of the held document give way to [begin, until) of the wanted one. */
export interface Patch {
  from: number;
  to: number;
  begin: number;
  until: number;
}

export type Step =
  | { kind: "keep" }
  | { kind: "drop" }
  | { kind: "insert"; document: WantedDocument }
  | { kind: "patch"; document: WantedDocument; patches: Patch[] };

export interface Edits {
  /** For every held and every new document one, in the order of the memory. */
  steps: Step[];
  /** Tokens to encode. */
  tokens: number;
}

export interface EditState {
  held: readonly WantedDocument[];
  /** Lengths of the pieces that each held document lies in; each begins on a page of its own. */
  pieces: readonly (readonly number[])[];
  /** Tokens that were encoded in place since the memory was read. */
  patchedTokens: number;
}

/** A block that would encode more than this beyond its changed lines is cut at a line instead. */
const longestBlock = 400;
/** Of the memory's tokens, at most this share may have been encoded in place before it is read again. */
export const mostPatchedShare = 0.25;
/** Reading again gives the exact memory; an edit must save at least so many tokens to be worth being near it. */
const leastSaved = 256;

/** Undefined: read again from the first difference. */
export function planEdits(
  state: EditState,
  wanted: readonly WantedDocument[],
  beginningsOf: BeginningsOf,
  most = mostPatchedShare,
): Edits | undefined {
  const first = wanted.findIndex((document, index) => !isSameDocument(state.held[index], document));
  const steps = first < 0 ? undefined : align(state, wanted, beginningsOf);
  if (steps === undefined) return undefined;
  const tokens = steps.reduce((sum, step) => sum + encodedBy(step), 0);
  const again = tokensOf(wanted.slice(first));
  const few = state.patchedTokens + tokens <= most * tokensOf(wanted);
  return few && tokens + leastSaved <= again ? { steps, tokens } : undefined;
}

function encodedBy(step: Step): number {
  if (step.kind === "insert") return step.document.tokens.length;
  return step.kind === "patch" ? step.patches.reduce((sum, { begin, until }) => sum + until - begin, 0) : 0;
}

/** Undefined where documents changed their order. */
function align(state: EditState, wanted: readonly WantedDocument[], beginningsOf: BeginningsOf): Step[] | undefined {
  const wantedPaths = new Set(wanted.map(({ path }) => path));
  const steps: Step[] = [];
  let at = 0;
  const dropGone = (): void => {
    for (; at < state.held.length && !wantedPaths.has(state.held[at]?.path ?? ""); at++) steps.push({ kind: "drop" });
  };
  const heldPaths = new Set(state.held.map(({ path }) => path));
  for (const document of wanted) {
    dropGone();
    const held = state.held[at];
    if (!heldPaths.has(document.path)) {
      steps.push({ kind: "insert", document });
    } else if (held === undefined || held.path !== document.path) {
      return undefined;
    } else {
      at++;
      if (isSameDocument(held, document)) steps.push({ kind: "keep" });
      else
        steps.push({
          kind: "patch",
          document,
          patches: diff(held.tokens, document.tokens, state.pieces[at - 1] ?? [], beginningsOf),
        });
    }
  }
  dropGone();
  return steps;
}

/**
 * For each stretch that differs the smallest one from a page's first token to a page's last that holds it, and behind it the rest of its
 * block; in order. What comes before a stretch depends on nothing in it, so that it may begin anywhere.
 */
export function diff(
  held: Int32Array,
  wanted: Int32Array,
  pieces: readonly number[],
  beginningsOf: BeginningsOf,
): Patch[] {
  const begins = beginningsOf(wanted);
  const cuts = cutsOf(pieces);
  const found: { hunk: Hunk; patch: Patch }[] = [];
  for (const next of hunksOf(held, wanted, beginningsOf(held), begins)) {
    let hunk = next;
    let patch = patchOf(hunk, held, wanted, cuts, begins);
    // What one needs beyond its stretch may reach into the next.
    for (
      let last = found.at(-1);
      last !== undefined && last.patch.to > Math.min(patch.from, hunk.heldFrom);
      last = found.at(-1)
    ) {
      hunk = { ...hunk, heldFrom: last.hunk.heldFrom, wantedFrom: last.hunk.wantedFrom };
      patch = patchOf(hunk, held, wanted, cuts, begins);
      found.pop();
    }
    found.push({ hunk, patch });
  }
  return found.map(({ patch }) => patch);
}

function patchOf(
  { heldFrom, heldTo, wantedFrom, wantedTo }: Hunk,
  held: Int32Array,
  wanted: Int32Array,
  cuts: readonly number[],
  begins: Uint8Array,
): Patch {
  const from = cuts.filter((cut) => cut <= heldFrom).at(-1) ?? 0;
  const next = (least: number): number => {
    // The boundary is looked for in the wanted text: the same tokens stand behind it in both.
    let at = wantedTo;
    while (at < wanted.length && (begins[at] ?? 0) < least) at++;
    return at;
  };
  const block = next(beginning.block);
  const line = next(beginning.line);
  const boundary = block - line <= longestBlock ? block : line;
  const end = heldTo + boundary - wantedTo;
  const to = cuts.find((cut) => cut >= Math.max(from, end)) ?? held.length;
  return { from, to, begin: wantedFrom - (heldFrom - from), until: wantedTo + (to - heldTo) };
}

/** Where a document may be cut: at its pages, which begin anew with every piece. */
function cutsOf(pieces: readonly number[]): number[] {
  const cuts: number[] = [];
  let start = 0;
  for (const length of pieces) {
    for (let cut = 0; cut < length; cut += pageTokens) cuts.push(start + cut);
    start += length;
  }
  return [...cuts, start];
}
