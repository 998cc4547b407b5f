// crash.test.ts — a save that is cut off at any of its stages leaves the old memory or the new one: every prefix of what was done to the disk
// is replayed, with what was not flushed lost or torn, and read by a process that knows nothing of it.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { GGMLQuantizationType as T } from "@huggingface/gguf";
import type { WantedDocument } from "../../../engine/prefill/documents.ts";
import type { HeldMemory } from "../../../engine/prefill/held-memory.ts";
import { randomFrom, tinyModel, writeGguf } from "../models/gguf-writer.ts";
import { afterCrash, CrashLog, type Files } from "./crash-log.ts";
import { changed, digestOf, documentOf, edits, heldWith, never, openTiny, quiet, storeIn } from "./reading.ts";

const old = [40, 120, 17, 300, 60].map((tokens, i) => documentOf(`file-${i}.ts`, tokens, i + 1));
const wanted = old.map((document, i) => (i === 0 ? changed(document, 33, 7) : document));
/** Crashes tried per prefix; QUIRE_CRASHES: more of them. */
const crashes = Number(process.env.QUIRE_CRASHES ?? 3);

describe("a save cut off by a crash", function () {
  this.timeout(Number(process.env.QUIRE_CRASHES ?? 0) > 0 ? 0 : 120_000);
  let folder = "";
  let open: Awaited<ReturnType<typeof openTiny>>;
  let homes = 0;
  const opened: HeldMemory[] = [];
  let cold = { old: "", wanted: "", patched: "" };

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "quire-crash-"));
    const file = path.join(folder, "tiny.gguf");
    await writeFile(file, writeGguf(tinyModel({ matrices: T.Q8_0 })).bytes);
    open = await openTiny(file);
    const digests: string[] = [];
    for (const documents of [old, wanted, undefined]) {
      const held = heldWith(open.model, undefined);
      opened.push(held);
      await held.read(documents ?? old, never, quiet);
      if (documents === undefined) await held.read(wanted, never, quiet, undefined, edits);
      digests.push(digestOf(held));
    }
    const [first = "", second = "", third = ""] = digests;
    cold = { old: first, wanted: second, patched: third };
    assert.equal(new Set(digests).size, 3);
  });
  afterEach(() => {
    for (const held of opened.splice(0)) held.dispose();
  });
  after(async () => {
    open.model.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  const memoriesOf = (home: string): string => path.join(home, "memories", storeIn(home, open).root.slice(0, 16));

  async function homeWith(files: Files): Promise<string> {
    const home = path.join(folder, `home-${homes++}`);
    await mkdir(memoriesOf(home), { recursive: true });
    for (const [name, bytes] of files) await writeFile(path.join(memoriesOf(home), name), bytes);
    return home;
  }
  async function filesOf(home: string): Promise<Files> {
    const names = await readdir(memoriesOf(home));
    return new Map(
      await Promise.all(
        names.map(async (name): Promise<[string, Buffer]> => [name, await readFile(path.join(memoriesOf(home), name))]),
      ),
    );
  }
  async function readIn(home: string, documents: readonly WantedDocument[], inPlace: boolean, log?: CrashLog) {
    const held = heldWith(open.model, storeIn(home, open, log && { disk: log }));
    try {
      const outcome = await held.read(documents, never, quiet, undefined, inPlace ? edits : undefined);
      await held.settled();
      return { ...outcome, digest: digestOf(held) };
    } finally {
      held.dispose();
    }
  }

  /** Operations of a first save, and of one that follows an edit in place, with what was there before each. */
  async function recorded(): Promise<{ first: CrashLog; between: Files; second: CrashLog }> {
    const home = await homeWith(new Map());
    const [first, second] = [new CrashLog(), new CrashLog()];
    await readIn(home, old, true, first);
    const between = await filesOf(home);
    assert.equal((await readIn(home, wanted, true, second)).digest, cold.patched);
    return { first, between, second };
  }

  it("is as if it had not begun, or whole, or gone on with, at every stage", async () => {
    const { first, between, second } = await recorded();
    assert.ok(first.operations.length >= 16 && second.operations.length >= 7);
    const random = randomFrom(5);
    const restored = new Set<number>();
    for (let count = 0; count <= first.operations.length; count++) {
      for (let crash = 0; crash < crashes; crash++) {
        const home = await homeWith(afterCrash(new Map(), first.operations, count, random));
        const outcome = await readIn(home, old, crash % 2 === 0);
        assert.equal(outcome.digest, cold.old, `after ${count} operations`);
        restored.add(outcome.restoredTokens);
        assert.equal((await readIn(home, old, true)).prefilledTokens, 0, "and all is saved again");
        await rm(home, { recursive: true });
      }
    }
    assert.ok(restored.has(0) && restored.has(537), `restored ${[...restored]}`);
    for (let count = 0; count <= second.operations.length; count++) {
      for (let crash = 0; crash < crashes; crash++) {
        const home = await homeWith(afterCrash(between, second.operations, count, random));
        const outcome = await readIn(home, wanted, true);
        assert.equal(outcome.digest, cold.patched, `after ${count} operations`);
        assert.ok(outcome.prefilledTokens <= 20, `${outcome.prefilledTokens} tokens`);
        assert.equal((await readIn(home, old, false)).digest, cold.old, "the old memory is still there");
        await rm(home, { recursive: true });
      }
    }
  });

  it("on a disk that lies about what it flushed is never believed where it is broken", async () => {
    const { first, second } = await recorded();
    const operations = [...first.operations, ...second.operations];
    const random = randomFrom(6);
    for (let crash = 0; crash < crashes * 12; crash++) {
      const count = Math.floor(random() * (operations.length + 1));
      const home = await homeWith(afterCrash(new Map(), operations, count, random, true));
      if (crash % 2 === 0) {
        // What lay behind a lost document may be patched: it holds what is wanted, and the exact memory is one read away.
        const outcome = await readIn(home, wanted, true);
        assert.equal(outcome.reusedTokens + outcome.prefilledTokens, 538);
      }
      assert.equal((await readIn(home, wanted, false)).digest, cold.wanted, `after ${count} operations`);
      assert.equal((await readIn(home, old, false)).digest, cold.old);
      await rm(home, { recursive: true });
    }
  });
});
