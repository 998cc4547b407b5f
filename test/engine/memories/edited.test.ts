// edited.test.ts — a memory that was edited in place comes back from the disk: nothing is read again, the same tokens are answered, and it
// never serves a read that asks for the exact memory nor holds anything of an unsaved editor.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { GGMLQuantizationType as T } from "@huggingface/gguf";
import { manifestsIn, readManifest } from "../../../engine/memories/manifest.ts";
import type { WantedDocument } from "../../../engine/prefill/documents.ts";
import type { HeldMemory, ReadOutcome } from "../../../engine/prefill/held-memory.ts";
import { randomFrom, tinyModel, writeGguf } from "../models/gguf-writer.ts";
import { answerOf, changed, documentOf, edits, heldWith, never, openTiny, quiet, storeIn } from "./reading.ts";

const documents = [300, 700, 17, 900, 400].map((tokens, i) => documentOf(`file-${i}.ts`, tokens, i + 1));
const outline = documentOf("outline", 120, 50);
const all = [...documents, outline];
const total = all.reduce((sum, { tokens }) => sum + tokens.length, 0);

describe("a memory edited in place, on disk", () => {
  let folder = "";
  let home = "";
  let open: Awaited<ReturnType<typeof openTiny>>;
  const opened: HeldMemory[] = [];

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "quire-edited-"));
    const file = path.join(folder, "tiny.gguf");
    await writeFile(file, writeGguf(tinyModel({ matrices: T.Q8_0 })).bytes);
    open = await openTiny(file);
  });
  beforeEach(async () => {
    home = await mkdtemp(path.join(folder, "home-"));
  });
  afterEach(() => {
    for (const held of opened.splice(0)) held.dispose();
  });
  after(async () => {
    open.model.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  /** A memory as another process has it: empty, with the same disk. */
  function begin(workspace?: string[]): HeldMemory {
    const held = heldWith(open.model, storeIn(home, open, workspace && { workspace }), 400);
    opened.push(held);
    return held;
  }
  async function read(held: HeldMemory, wanted: readonly WantedDocument[], exact = false): Promise<ReadOutcome> {
    const outcome = await held.read(wanted, never, quiet, undefined, exact ? undefined : edits);
    await held.settled();
    return outcome;
  }
  const memoryFolder = async (): Promise<string> => {
    const [name = ""] = await readdir(path.join(home, "memories"));
    return path.join(home, "memories", name);
  };
  const edited = (wanted: readonly WantedDocument[], at: number, token: number): WantedDocument[] =>
    wanted.map((document, index) => (index === at ? changed(document, token, 7, 8) : document));

  it("is reopened with nothing encoded, and answers token for token as before", async () => {
    const held = begin();
    await read(held, all);
    const wanted = edited(edited(all, 1, 333), 5, 40);
    const { prefilledTokens, patchedTokens } = await read(held, wanted);
    assert.ok(prefilledTokens > 0 && prefilledTokens < 100, `${prefilledTokens} tokens in place`);
    const answer = await answerOf(held);

    const again = begin();
    const outcome = await read(again, wanted);
    assert.deepEqual(
      [outcome.prefilledTokens, outcome.restoredTokens, outcome.patchedTokens],
      [0, total + 4, patchedTokens],
    );
    assert.deepEqual(await answerOf(again), answer);
    assert.deepEqual([again.patchedTokens, again.staleTokens], [held.patchedTokens, held.staleTokens]);
  });

  it("goes on being edited after it was reopened, round after round, as one that was never closed", async () => {
    const random = randomFrom(3);
    const kept = begin();
    await read(kept, all);
    let wanted = all;
    for (let round = 0; round < 6; round++) {
      const at = Math.floor(random() * all.length);
      wanted = edited(wanted, at, Math.floor(random() * 100));
      if (round === 2) wanted = [...wanted.slice(0, 2), documentOf("new.ts", 60, 9), ...wanted.slice(2)];
      if (round === 4) wanted = wanted.filter((_, index) => index !== 3);
      const here = await read(kept, wanted);
      const other = begin();
      const there = await read(other, wanted);
      assert.equal(there.prefilledTokens, 0, `round ${round}: nothing is encoded twice`);
      assert.equal(there.patchedTokens, here.patchedTokens);
      assert.deepEqual(await answerOf(other), await answerOf(kept), `round ${round}`);
      other.dispose();
    }
  });

  it("costs the edit after a restart too: files that changed meanwhile are patched in what was saved", async () => {
    await read(begin(), all);
    const wanted = edited(all, 1, 333);
    const live = begin();
    await read(live, all);
    const there = await read(live, wanted);
    await rm(await memoryFolder(), { recursive: true });
    await read(begin(), all);
    const outcome = await read(begin(), wanted);
    assert.equal(outcome.prefilledTokens, there.prefilledTokens);
    assert.equal(outcome.restoredTokens, total);
  });

  it("never serves a read that asks for the exact memory", async () => {
    const held = begin();
    await read(held, all);
    const wanted = edited(all, 1, 333);
    await read(held, wanted);
    const exact = begin();
    const outcome = await read(exact, wanted, true);
    assert.deepEqual([outcome.restoredTokens, outcome.patchedTokens], [300, 0]);
    const fresh = heldWith(open.model, undefined, 400);
    opened.push(fresh);
    await fresh.read(wanted, never, quiet);
    assert.deepEqual(await answerOf(exact), await answerOf(fresh));
    const again = begin();
    assert.equal((await read(again, wanted)).patchedTokens, 0, "and once the exact one is there, it is preferred");
  });

  it("costs nothing the second time a branch is switched to, in one process or two", async () => {
    const branch = [0, 1, 3].reduce((wanted, at) => edited(wanted, at, 90 + at), all);
    const held = begin();
    await read(held, edited(all, 4, 100)); // exact
    const there = await read(held, branch);
    assert.ok(there.prefilledTokens > 0 && there.patchedTokens > 0);
    const answer = await answerOf(held);
    const back = await read(held, edited(all, 4, 100));
    assert.deepEqual([back.prefilledTokens, back.patchedTokens], [0, 0]);
    const second = await read(held, branch);
    assert.deepEqual([second.prefilledTokens, second.patchedTokens], [0, there.patchedTokens]);
    assert.deepEqual(await answerOf(held), answer);
    assert.equal((await read(begin(), branch)).prefilledTokens, 0);
    assert.equal((await read(begin(), edited(all, 4, 100))).prefilledTokens, 0);
  });

  it("is another workspace's affair: only its exact documents are shared", async () => {
    const held = begin();
    await read(held, all);
    await read(held, edited(all, 1, 333));
    const { restoredTokens } = await read(begin(["/elsewhere"]), edited(all, 1, 333));
    assert.equal(restoredTokens, 300);
  });

  it("leaves out what is missing or damaged, and reads only that", async () => {
    const wanted = edited(all, 1, 333);
    for (const way of ["missing", "damaged"]) {
      home = await mkdtemp(path.join(folder, "home-"));
      const held = begin();
      await read(held, all);
      await read(held, wanted);
      const file = path.join(await memoryFolder(), held.pieces()[2]?.[0]?.segment ?? "");
      if (way === "missing") await rm(file);
      else {
        const bytes = await readFile(file);
        bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 4;
        await writeFile(file, bytes);
      }
      const again = begin();
      assert.equal((await read(again, wanted)).prefilledTokens, 17, way);
      assert.equal(again.tokens, total + 2);
    }
  });

  describe("with an unsaved editor", () => {
    const unsaved = (wanted: readonly WantedDocument[], at: number): WantedDocument[] =>
      wanted.map((document, index) => (index === at ? { ...document, unsaved: true } : document));
    const files = async (): Promise<string[]> => (await readdir(await memoryFolder())).sort();

    it("writes nothing of its text, nor of what was encoded in view of it", async () => {
      const held = begin();
      await read(held, all);
      const before = await files();
      await read(held, unsaved(edited(edited(all, 1, 333), 5, 40), 1));
      assert.deepEqual(await files(), before);
      // The editor goes back to what is on disk, and the outline, which saw the other text, changes again.
      await read(held, edited(all, 3, 500));
      for (const file of await manifestsIn(await memoryFolder())) {
        const manifest = await readManifest(file);
        const named = manifest?.documents.flatMap(({ pieces }) => pieces.map(({ segment }) => segment)) ?? [];
        for (const segment of named) assert.ok((await files()).includes(segment));
      }
      const again = begin();
      await read(again, edited(all, 3, 500));
      assert.equal(again.tokens, total + 2);
    });

    it("saves what it encoded once the editor is saved as it is", async () => {
      const held = begin();
      await read(held, all);
      const wanted = edited(edited(all, 1, 333), 5, 40);
      await read(held, unsaved(wanted, 1));
      assert.equal((await read(held, wanted)).prefilledTokens, 0);
      assert.equal((await read(begin(), wanted)).prefilledTokens, 0);
    });

    it("writes down no memory of which a part saw a text that changed before it was saved", async () => {
      const held = begin();
      await read(held, all);
      const before = await files();
      await read(held, unsaved(edited(edited(all, 1, 333), 5, 40), 1));
      const wanted = edited(edited(all, 1, 335), 5, 40); // the outline's block is not encoded again
      await read(held, wanted);
      const manifests = (names: readonly string[]): string[] => names.filter((name) => name.endsWith(".memory"));
      assert.deepEqual(manifests(await files()), manifests(before));
      const { prefilledTokens } = await read(begin(), wanted);
      assert.ok(prefilledTokens > 0 && prefilledTokens < 100, `${prefilledTokens} tokens: the edit of what was saved`);
    });
  });

  it("is renewed document by document until it is as if read just now", async () => {
    const fresh = heldWith(open.model, undefined, 400);
    opened.push(fresh);
    const wanted = [40, 333, 500].reduce((so, token) => edited(so, 1, token), all);
    await fresh.read(wanted, never, quiet);
    const held = begin();
    await read(held, all);
    let now = all;
    for (const token of [40, 333, 500]) {
      now = edited(now, 1, token);
      await read(held, now);
    }
    assert.equal(held.staleTokens, total + 6 - 300);
    let paused = 0;
    const encoded: number[] = [];
    for (let tokens = -1; tokens !== 0; ) {
      tokens = await held.renew(never, 8, async () => void paused++);
      encoded.push(tokens);
    }
    await held.settled();
    assert.deepEqual(encoded, [706, 17, 900, 400, 120, 0]);
    assert.ok(paused >= 5);
    assert.deepEqual([held.patchedTokens, held.staleTokens], [0, 0]);
    assert.deepEqual(await answerOf(held), await answerOf(fresh));
    assert.equal((await read(begin(), wanted, true)).prefilledTokens, 0, "and it is saved as such");
  });
});
