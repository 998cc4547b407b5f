// store.test.ts — memory kept on disk, on a small random model: what was saved is loaded and answers like a cold read, whatever is
// damaged, missing, full or was killed meanwhile.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { GGMLQuantizationType as T } from "@huggingface/gguf";
import { manifestEnding } from "../../../engine/memories/manifest.ts";
import { memoryCap } from "../../../engine/memories/settings.ts";
import { realDisk } from "../../../engine/memories/writing.ts";
import type { HeldMemory } from "../../../engine/prefill/held-memory.ts";
import { randomFrom, tinyModel, writeGguf } from "../models/gguf-writer.ts";
import {
  answerOf,
  digestOf,
  documentOf,
  documents,
  editedDocuments,
  edits,
  heldWith,
  never,
  openTiny,
  quiet,
  storeIn,
} from "./reading.ts";

/** How many times a process is killed; QUIRE_KILLS: more of them. */
const kills = Number(process.env.QUIRE_KILLS ?? 15);
const total = documents.reduce((sum, { tokens }) => sum + tokens.length, 0);

describe("memory on disk", () => {
  let folder = "";
  let home = "";
  let file = "";
  let open: Awaited<ReturnType<typeof openTiny>>;
  let cold: number[] = [];
  const opened: HeldMemory[] = [];

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "quire-memories-"));
    file = path.join(folder, "tiny.gguf");
    await writeFile(file, writeGguf(tinyModel({ matrices: T.Q8_0 })).bytes);
    open = await openTiny(file);
    const held = make(undefined);
    await held.read(documents, never, quiet);
    cold = await answerOf(held);
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

  function make(store: Parameters<typeof heldWith>[1]): HeldMemory {
    const held = heldWith(open.model, store);
    opened.push(held);
    return held;
  }

  async function savedFiles(): Promise<string[]> {
    const names = await readdir(path.join(home, "memories"), { recursive: true }).catch(() => []);
    const files = names
      .filter((name) => /^[0-9a-f]{64}/.test(path.basename(name)))
      .map((name) => path.join(home, "memories", name));
    const kinds = await Promise.all(files.map((name) => stat(name)));
    return files.filter((_, index) => kinds[index]?.isFile());
  }

  /** In the order of the documents: touched so. */
  async function savedInOrder(): Promise<string[]> {
    const files = await savedFiles();
    const times = await Promise.all(files.map(async (name) => ({ name, ms: (await stat(name)).mtimeMs })));
    return times.sort((a, b) => b.ms - a.ms).map(({ name }) => name);
  }

  async function read(wanted = documents, store = storeIn(home, open)) {
    const held = make(store);
    const { reusedTokens, prefilledTokens } = await held.read(wanted, never, quiet);
    await held.settled();
    return { held, reusedTokens, prefilledTokens };
  }

  it("is read once: the next process prefills nothing and answers token for token like the cold one", async () => {
    assert.equal((await read()).prefilledTokens, total);
    const again = await read();
    assert.deepEqual([again.reusedTokens, again.prefilledTokens], [total, 0]);
    assert.deepEqual(await answerOf(again.held), cold);
    assert.equal((await savedFiles()).length, documents.length);
  });

  it("is readable by its user only", async () => {
    await read();
    for (const name of await savedFiles()) {
      assert.equal((await stat(name)).mode & 0o777, 0o600);
      assert.equal((await stat(path.dirname(name))).mode & 0o777, 0o700);
    }
    assert.equal((await stat(path.join(home, "memories"))).mode & 0o777, 0o700);
  });

  it("is the same for every read: nothing is written twice", async () => {
    await read();
    const first = await Promise.all((await savedFiles()).map((name) => readFile(name)));
    await rm(path.join(home, "memories"), { recursive: true });
    await read();
    assert.deepEqual(await Promise.all((await savedFiles()).map((name) => readFile(name))), first);
  });

  it("is read again from an edited document on, and what is before it is shared", async () => {
    await read();
    const edited = documents.map((document, i) => (i === 5 ? documentOf(document.path, 210, 77) : document));
    const before = documents.slice(0, 5).reduce((sum, { tokens }) => sum + tokens.length, 0);
    const after = await read(edited);
    assert.equal(after.reusedTokens, before);
    assert.equal((await savedFiles()).length, documents.length + 3);
    const fresh = make(undefined);
    await fresh.read(edited, never, quiet);
    assert.deepEqual(await answerOf(after.held), await answerOf(fresh));
    assert.equal((await read()).prefilledTokens, 0, "the old state is still there");
  });

  it("depends on the path of a document, on the model and on what came before", async () => {
    await read();
    const renamed = documents.map((document, i) => (i === 0 ? { ...document, path: "other.ts" } : document));
    assert.equal((await read(renamed)).reusedTokens, 0);
    assert.equal((await read(documents, storeIn(home, open, { modelHash: "cd" }))).reusedTokens, 0);
    assert.equal((await read(documents.slice(1))).reusedTokens, 0);
  });

  it("damaged is deleted and read again", async () => {
    const random = randomFrom(4);
    for (const way of ["a byte", "cut off", "another file's bytes", "empty"]) {
      await read();
      const files = await savedInOrder();
      const victim = files[3] ?? "";
      const bytes = await readFile(victim);
      if (way === "a byte") {
        const at = Math.floor(random() * bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ 0x10;
        await writeFile(victim, bytes);
      } else if (way === "cut off") await truncate(victim, bytes.length - 9);
      else if (way === "empty") await truncate(victim, 0);
      else await writeFile(victim, await readFile(files[2] ?? ""));
      const before = documents.slice(0, 3).reduce((sum, { tokens }) => sum + tokens.length, 0);
      const again = await read();
      assert.equal(again.reusedTokens, before, way);
      assert.deepEqual(await answerOf(again.held), cold, way);
      assert.equal((await read()).prefilledTokens, 0, `${way}: it was saved again`);
    }
  });

  it("is saved as far as a stopped read came, and the next one goes on there", async () => {
    const stop = new AbortController();
    const held = make(storeIn(home, open));
    await assert.rejects(held.read(documents, stop.signal, ({ done }) => void (done > 600 && stop.abort())));
    await held.settled();
    const again = await read();
    assert.ok(again.reusedTokens > 0 && again.prefilledTokens > 0);
    assert.equal(again.reusedTokens + again.prefilledTokens, total);
    assert.deepEqual(await answerOf(again.held), cold);
  });

  it("that cannot be written is said once, and the answer comes", async () => {
    const said: string[] = [];
    await writeFile(path.join(home, "memories"), "a file is in the way");
    const result = await read(documents, storeIn(home, open, { say: (message) => said.push(message) }));
    assert.deepEqual(await answerOf(result.held), cold);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", /not saved/);
  });

  it("whose disk is full when it is flushed, renamed or written down is said once, leaves nothing half, and the answer comes", async () => {
    for (const stage of ["flush", "rename", "write"] as const) {
      const said: string[] = [];
      const full = async (): Promise<never> => {
        throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      };
      const disk = { ...realDisk, [stage]: full };
      const result = await read(documents, storeIn(home, open, { disk, say: (message) => said.push(message) }));
      assert.deepEqual(await answerOf(result.held), cold);
      assert.deepEqual(said, ["The memory of this repository is not saved: disk full."], stage);
      const left = await readdir(path.join(home, "memories"), { recursive: true });
      assert.deepEqual(
        left.filter((name) => name.endsWith(".tmp") || name.endsWith(manifestEnding)),
        [],
        stage,
      );
      await rm(path.join(home, "memories"), { recursive: true });
    }
    await read();
    assert.equal((await read()).prefilledTokens, 0);
  });

  it("stays under its cap: the least recently used goes, never what is being read", async () => {
    await read();
    const once = await bytesOf(await savedFiles());
    const old = new Date(Date.now() - 60_000);
    for (const name of await savedFiles()) await utimes(name, old, old);
    const others = documents.map((document) => ({ ...document, path: `other/${document.path}` }));
    const cap = Math.floor(once * 1.5);
    await read(others, storeIn(home, open, { cap }));
    assert.ok((await bytesOf(await savedFiles())) <= cap);
    assert.equal((await read(others, storeIn(home, open, { cap }))).prefilledTokens, 0);
    assert.ok((await read(documents, storeIn(home, open, { cap }))).prefilledTokens > 0);

    const said: string[] = [];
    await rm(path.join(home, "memories"), { recursive: true });
    const small = Math.floor(once / 2);
    const result = await read(documents, storeIn(home, open, { cap: small, say: (message) => said.push(message) }));
    assert.ok((await bytesOf(await savedFiles())) <= small);
    assert.match(said.join(), /QUIRE_MEMORY_GB/);
    assert.deepEqual(await answerOf(result.held), cold);
    assert.ok((await read(documents, storeIn(home, open, { cap: small }))).reusedTokens > 0);
  });

  it("is whole or absent after a SIGKILL at any moment of reading, editing and saving", async function () {
    this.timeout(kills * 20_000);
    const random = randomFrom(11);
    const [exact, patched] = [make(undefined), make(undefined)];
    await exact.read(editedDocuments, never, quiet);
    await patched.read(documents, never, quiet);
    await patched.read(editedDocuments, never, quiet, undefined, edits);
    const possible = [digestOf(exact), digestOf(patched)];
    const seen = new Set<string>();
    const { ms: readingMs } = await readAndKill(file, home, undefined);
    let cutOff = 0;
    for (let round = 0; round < kills; round++) {
      if (round % 3 === 0) await rm(path.join(home, "memories"), { recursive: true, force: true });
      if (!(await readAndKill(file, home, random() * readingMs)).done) cutOff++;
      const followed = make(storeIn(home, open));
      await followed.read(editedDocuments, never, quiet, undefined, edits);
      seen.add(digestOf(followed));
      assert.ok(possible.includes(digestOf(followed)), `round ${round}`);
      await followed.settled();
      const held = make(storeIn(home, open));
      const { reusedTokens, prefilledTokens } = await held.read(documents, never, quiet);
      assert.equal(reusedTokens + prefilledTokens, total);
      assert.deepEqual(await answerOf(held), cold, `round ${round}`);
      await held.settled();
      for (const one of opened.splice(0)) one.dispose();
      // Half of the documents go, so that the next round has something to save; what names them too, or it would be mended in place.
      for (const name of await readdir(path.join(home, "memories"), { recursive: true })) {
        if (name.endsWith(manifestEnding)) await rm(path.join(home, "memories", name));
      }
      for (const name of (await savedInOrder()).slice(round % documents.length)) await rm(name);
    }
    assert.ok(cutOff >= kills / 3, `only ${cutOff} of ${kills} reads were cut off`);
  });
});

describe("memory settings", () => {
  it("are on, off and capped by the environment, and refuse what makes no sense", () => {
    assert.equal(memoryCap({}), 10e9);
    assert.equal(memoryCap({ QUIRE_MEMORY: "off", QUIRE_MEMORY_GB: "5" }), 0);
    assert.equal(memoryCap({ QUIRE_MEMORY: "on" }), 10e9);
    assert.equal(memoryCap({ QUIRE_MEMORY: "on", QUIRE_MEMORY_GB: "0.5" }), 5e8);
    assert.throws(() => memoryCap({ QUIRE_MEMORY: "yes" }), /QUIRE_MEMORY/);
    assert.throws(() => memoryCap({ QUIRE_MEMORY: "on", QUIRE_MEMORY_GB: "-1" }), /QUIRE_MEMORY_GB/);
  });
});

async function bytesOf(files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(files.map(async (name) => (await stat(name)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Runs read-and-save.ts and kills it so long after it is ready; resolves with the milliseconds it took from there, and whether it was done. */
function readAndKill(file: string, home: string, afterMs: number | undefined): Promise<{ ms: number; done: boolean }> {
  const script = fileURLToPath(new URL("read-and-save.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, file, home], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let readyMs = 0;
    let done = false;
    child.stdout.on("data", (text: Buffer) => {
      if (`${text}`.includes("done")) done = true;
      if (!`${text}`.includes("ready")) return;
      readyMs = performance.now();
      if (afterMs !== undefined) setTimeout(() => child.kill("SIGKILL"), afterMs);
    });
    child.on("error", reject);
    child.on("exit", () => resolve({ ms: performance.now() - readyMs, done }));
  });
}
