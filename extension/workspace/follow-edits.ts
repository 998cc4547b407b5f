// follow-edits.ts — when the engine is asked to bring its memory in step with edits: some time after the last of them, and never twice
// at once. Knows no editor and no engine.

export interface FollowDeps {
  /** Asks the engine; resolves when it is done, whatever came of it. */
  follow(): Promise<void>;
  /** Milliseconds after a file was saved, made, moved or deleted. */
  afterSave?: number;
  /** Milliseconds after a key was pressed: text that is not saved may be half a thought. */
  afterTyping?: number;
}

const usualAfterSave = 3_000;
const usualAfterTyping = 10_000;

export class FollowEdits {
  readonly #deps: FollowDeps;
  #timer: NodeJS.Timeout | undefined;
  #following = false;
  #disposed = false;

  constructor(deps: FollowDeps) {
    this.#deps = deps;
  }

  saved(): void {
    this.#wait(this.#deps.afterSave ?? usualAfterSave);
  }

  typed(): void {
    this.#wait(this.#deps.afterTyping ?? usualAfterTyping);
  }

  dispose(): void {
    this.#disposed = true;
    clearTimeout(this.#timer);
  }

  /** The last edit says how long. */
  #wait(milliseconds: number): void {
    if (this.#disposed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run(milliseconds), milliseconds);
  }

  async #run(milliseconds: number): Promise<void> {
    // What is edited while the engine follows waits for its end.
    if (this.#following) return this.#wait(milliseconds);
    this.#following = true;
    await this.#deps.follow();
    this.#following = false;
  }
}
