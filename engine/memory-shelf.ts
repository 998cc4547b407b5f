// memory-shelf.ts — the memories that are held in this process: each of one workspace and one model, with who uses it.
//
// In: which workspace, how it is read, how many pages. Out: the memory held of it, or a new one, for which those that were not used for
// longest make room. What goes is on disk (engine/memories/), where that is not switched off. Reads nothing and answers nothing.

import type { Backend } from "./backends.ts";
import type { Shelved, User } from "./model-shelf.ts";
import { HeldMemory, type MemoryShape } from "./prefill/held-memory.ts";
import type { EngineSettings } from "./protocol.ts";

/** What a client's last question asked a memory with. */
export interface Asked {
  settings: string;
  maxTokens: number;
}

export interface KeptMemory {
  /** The workspace without what its editors hold (workspaceKey). */
  workspace: string;
  roots: string[];
  model: Shelved;
  shape: string;
  /** Of tokens, as it was asked for. */
  budget: EngineSettings["tokenBudget"];
  held: HeldMemory;
  users: Map<User, Asked>;
  usedMs: number;
}

export interface MemoryRequest {
  user: User;
  workspace: string;
  roots: string[];
  model: Shelved;
  shape: MemoryShape;
  budget: EngineSettings["tokenBudget"];
  asked: Asked;
  /** Whether a memory is large enough. */
  fits: (held: HeldMemory) => boolean;
  /** Of a new one. */
  pages: number;
}

/** Memories held at most; each is a workspace, or a way to read it. */
const most = 8;
/** Bytes that stay free when a memory is made. */
const margin = 256e6;

export class MemoryShelf {
  #kept: KeptMemory[] = [];
  #settling: Promise<unknown> = Promise.resolve();

  get all(): readonly KeptMemory[] {
    return this.#kept;
  }

  /** The memory that a client asked last. */
  of(user: User): KeptMemory | undefined {
    return this.#kept.find(({ users }) => users.has(user));
  }

  /** The memory used last, whoever did. */
  get latest(): KeptMemory | undefined {
    return this.#kept.reduce<KeptMemory | undefined>(
      (a, b) => (a !== undefined && a.usedMs >= b.usedMs ? a : b),
      undefined,
    );
  }

  /**
   * Finds or makes. One of the same budget counts first; else one that no other client uses is changed to what is wanted: two clients
   * that read a workspace differently have a memory each, and a client that changes its settings keeps what can stay.
   */
  take(request: MemoryRequest): HeldMemory {
    const { user, workspace, model, budget, asked, roots } = request;
    const shape = JSON.stringify(request.shape);
    const same = this.#kept.filter(
      (kept) => kept.workspace === workspace && kept.model === model && kept.shape === shape,
    );
    const found =
      same.find((kept) => kept.budget === budget) ??
      same.find(({ users }) => [...users.keys()].every((other) => other === user));
    this.forget(user);
    if (found !== undefined && request.fits(found.held)) {
      found.users.set(user, asked);
      found.budget = budget;
      found.usedMs = performance.now();
      return found.held;
    }
    const users = new Map([...(found?.users ?? []), [user, asked] as const]);
    if (found !== undefined) this.drop((kept) => kept === found);
    this.#makeRoom(model.backend, request.pages * model.open.native.info.pageBytes);
    const held = new HeldMemory(model.backend.addon, model.open.native, request.shape, request.pages);
    this.#kept.push({ workspace, roots, model, shape, budget, held, users, usedMs: performance.now() });
    return held;
  }

  /** The user is gone; what it read stays until room is needed. */
  forget(user: User): void {
    for (const { users } of this.#kept) users.delete(user);
  }

  /** Gives up the memories that fit. */
  drop(fits: (kept: KeptMemory) => boolean): void {
    const dropped = this.#kept.filter(fits);
    this.#kept = this.#kept.filter((kept) => !dropped.includes(kept));
    for (const { held } of dropped) {
      // What was saved of it still gets its name on the disk.
      this.#settling = Promise.all([this.#settling, held.settled()]);
      held.dispose();
    }
  }

  /** Resolves when all that was saved is on the disk, of memories that are gone too. */
  async settled(): Promise<void> {
    await Promise.all([this.#settling, ...this.#kept.map(({ held }) => held.settled())]);
  }

  /** Bytes of keys, values and summaries held on a backend. */
  bytesOn(backend: Backend): number {
    const here = this.#kept.filter(({ model }) => model.backend.kind === backend.kind);
    return here.reduce((sum, kept) => sum + bytesOf(kept), 0);
  }

  /** Those that nobody uses go first, of each kind those that were not used for longest. */
  #makeRoom(backend: Backend, bytes: number): void {
    const order = [...this.#kept].sort(
      (a, b) => Number(a.users.size > 0) - Number(b.users.size > 0) || a.usedMs - b.usedMs,
    );
    for (const kept of order) {
      const isHere = kept.model.backend.kind === backend.kind;
      if (this.#kept.length < most && (!isHere || backend.availableBytes() >= bytes + margin)) continue;
      this.drop((other) => other === kept);
    }
  }
}

export function bytesOf({ held, model }: KeptMemory): number {
  return held.tokens * (model.open.native.info.pageBytes / 16);
}
