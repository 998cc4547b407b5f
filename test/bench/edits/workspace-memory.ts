// workspace-memory.ts — a workspace and its memory by the product's own calls: collected, planned, rendered, tokenized, held.
//
// What engine/engine.ts does for a question or for `follow`, with the memory's tail at hand, so that a right answer can be forced.

import { contextFor } from "../../../engine/budget.ts";
import { native } from "../../../engine/native.ts";
import { type OpenModel, openModel } from "../../../engine/open-model.ts";
import { pagesFor, tokensOf, type WantedDocument } from "../../../engine/prefill/documents.ts";
import { type EditOptions, HeldMemory, type ReadOutcome } from "../../../engine/prefill/held-memory.ts";
import { collectWorkspace, emptyPrepareCache, type Prepared, prepare } from "../../../engine/prepare.ts";
import type { UnsavedFile, Workspace } from "../../../engine/protocol.ts";
import { fetchedModel } from "../../models/fetched-model.ts";
import type { SourceFile } from "../quality/corpus.ts";

export const never = new AbortController().signal;
const answerTokens = 512;

export interface Followed {
  /** "nothing": no document changed; "in place"; "read again": it could not be or was not worth it. */
  how: "nothing" | "in place" | "read again";
  encodedTokens: number;
  /** From the news of an edit to a memory in step: listing, planning, tokenizing, encoding. */
  seconds: number;
  patchedTokens: number;
}

export async function openBenchModel(name: string, threads: number): Promise<OpenModel> {
  const path = await fetchedModel(name);
  return openModel(native(), path, { choice: { kind: "file", path, reason: "" }, threads, cpu: "auto" });
}

export class WorkspaceMemory {
  readonly model: OpenModel;
  readonly held: HeldMemory;
  readonly #workspace: Workspace;
  readonly #budget: number;
  readonly #cache = emptyPrepareCache();
  readonly #edits: EditOptions;
  prepared: Prepared | undefined;

  /** @param share of the memory at most that may be encoded in place before it is read again */
  constructor(model: OpenModel, root: string, include: readonly string[], budget: number, share: number) {
    this.model = model;
    this.#budget = budget;
    this.#workspace = {
      folders: [{ name: "workspace", root }],
      include: [...include],
      exclude: [],
      trusted: true,
      unsaved: [],
    };
    this.#edits = {
      beginningsOf: model.beginningsOf,
      reservedPages: pagesFor(contextFor(budget, answerTokens) - budget),
      mostPatchedShare: share,
    };
    this.held = this.#newMemory();
  }

  #newMemory(): HeldMemory {
    const shape = { summary: "mean-spread", rope: { factor: 1, originalContext: 0 } } as const;
    // Room for edits that break pages, many times over.
    return new HeldMemory(
      native(),
      this.model.native,
      shape,
      pagesFor(contextFor(this.#budget, answerTokens)) * 2 + 512,
    );
  }

  /** Another memory of the same model, for reading the same documents afresh. */
  another(): HeldMemory {
    return this.#newMemory();
  }

  /** Plans the workspace as it is now, these texts counting instead of the disk's. */
  async plan(unsaved: UnsavedFile[]): Promise<Prepared> {
    const collected = await collectWorkspace({ ...this.#workspace, unsaved }, this.#cache, never);
    this.prepared = await prepare(collected, this.#budget, this.model, this.#cache, never);
    return this.prepared;
  }

  /** Brings the memory in step, as while nobody asks; where that cannot be, as a question would. */
  async follow(unsaved: UnsavedFile[]): Promise<Followed> {
    const began = performance.now();
    const { documents } = await this.plan(unsaved);
    const since = (): number => (performance.now() - began) / 1000;
    if (this.held.commonPrefix(documents) === documents.length && this.held.documents.length === documents.length)
      return { how: "nothing", encodedTokens: 0, seconds: since(), patchedTokens: 0 };
    const outcome = await this.held.follow(documents, never, this.#edits);
    if (outcome !== undefined) return { how: "in place", ...counted(outcome), seconds: since() };
    const read = await this.held.read(documents, never, () => {}, undefined, this.#edits);
    return { how: "read again", ...counted(read), seconds: since() };
  }

  /** What a question finds left to do: the workspace looked at, the memory compared, what differs encoded. */
  async left(unsaved: UnsavedFile[]): Promise<{ seconds: number; encodedTokens: number }> {
    const began = performance.now();
    const { documents } = await this.plan(unsaved);
    const { prefilledTokens } = await this.held.read(documents, never, () => {}, undefined, this.#edits);
    return { seconds: (performance.now() - began) / 1000, encodedTokens: prefilledTokens };
  }

  /** Files in memory in full, as they were read. */
  files(): SourceFile[] {
    const { rendered, read } = this.prepared ?? {};
    return [...(rendered ?? [])].flatMap(([path, { detail }]) => {
      const text = read?.get(path)?.text;
      return detail === "full" && text !== undefined ? [{ path, text }] : [];
    });
  }

  absolute(path: string): string {
    return this.prepared?.read.get(path)?.file.absolutePath ?? path;
  }

  get documents(): readonly WantedDocument[] {
    return this.prepared?.documents ?? [];
  }

  get tokens(): number {
    return tokensOf(this.documents);
  }
}

function counted({ prefilledTokens, patchedTokens }: ReadOutcome): { encodedTokens: number; patchedTokens: number } {
  return { encodedTokens: prefilledTokens, patchedTokens };
}
