// `quire memories`: what questions kept is listed, pinned, deleted and read again, from the terminal and under a running engine.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import type { AskResult } from "../../../engine/protocol.ts";
import { askOf, EngineProcess } from "../engine-process.ts";
import { objects, Place, smallModel, sourceText } from "./quire.ts";

const count = z.int().nonnegative();
const rowSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{12}$/),
  kind: z.enum(["memory", "rest"]),
  workspace: z.array(z.string()),
  model: z.string(),
  backend: z.string(),
  tokens: count,
  patchedTokens: count,
  states: count,
  bytes: z.int().positive(),
  ownBytes: count,
  firstReadMs: z.int().positive(),
  lastUsedMs: z.int().positive(),
  pinned: z.boolean(),
});
type Row = z.infer<typeof rowSchema>;

const question = "What does add1Entry1 return?";

describe("quire memories", function () {
  this.timeout(600_000);
  const place = new Place();
  const on = { QUIRE_MEMORY: "on" };
  let one = "";
  let two = "";
  let beganMs = 0;
  let ofOne: AskResult;
  let ofTwo: AskResult;

  before(async () => {
    await place.prepare();
    one = place.workspace("one", { "src/a.js": sourceText(1, 3), "src/b.js": sourceText(2, 2) });
    two = place.workspace("two", { "src/c.js": sourceText(3, 2) });
    beganMs = Date.now();
    ofOne = await ask(one);
    ofTwo = await ask(two);
  });
  after(() => place.dispose());

  const memories = (...args: string[]) => place.run(["memories", ...args], on);
  async function rows(): Promise<Row[]> {
    const outcome = await memories("list", "--json");
    assert.equal(outcome.status, 0, outcome.err);
    return objects(outcome).map((object) => rowSchema.parse(object));
  }
  async function rowOf(root: string): Promise<Row> {
    const row = (await rows()).find(({ workspace }) => workspace.includes(root));
    assert.ok(row, `${root} is listed`);
    return row;
  }
  async function ask(root: string): Promise<AskResult> {
    const args = ["ask", question, "--root", root, "--model", smallModel];
    const outcome = await place.run([...args, "--json", "--max-tokens", "8"], on);
    assert.equal(outcome.status, 0, outcome.err);
    return objects(outcome)[0] as unknown as AskResult;
  }
  const read = ({ documents }: AskResult): number => documents.reduce((sum, { tokens }) => sum + tokens, 0);

  it("lists each folder that was read, the last one first, with model, tokens, size and use", async () => {
    const listed = (await rows()).filter(({ kind }) => kind === "memory");
    assert.deepEqual(
      listed.map(({ workspace, tokens }) => [workspace, tokens]),
      [
        [[two], read(ofTwo)],
        [[one], read(ofOne)],
      ],
    );
    for (const row of listed) {
      assert.deepEqual([row.model, row.patchedTokens, row.states, row.pinned], [smallModel, 0, 1, false]);
      assert.match(row.backend, /cpu/);
      assert.ok(row.bytes > row.tokens * 1000 && row.ownBytes < row.bytes, "both begin with the instructions");
      assert.ok(row.firstReadMs >= beganMs - 5000 && row.lastUsedMs >= beganMs - 5000);
    }
    const { out, err, status } = await memories();
    assert.equal(status, 0);
    assert.match(out, new RegExp(`one, ${smallModel}, [\\d,]+ tokens, [\\d.]+ MB, used .*\\n +.*one\\n`));
    assert.match(err, /2 memories, [\d.]+ MB of the 10\.0 GB that they may take/);
  });

  it("pins by folder, unpins by the beginning of an id, and says where to look for what is not there", async () => {
    const [pinned] = objects(await memories("pin", one, "--json"));
    const row = rowSchema.parse(pinned);
    assert.deepEqual(
      (await rows()).map(({ workspace, pinned }) => [workspace, pinned]),
      [
        [[two], false],
        [[one], true],
      ],
    );
    const [unpinned] = objects(await memories("unpin", row.id.slice(0, 5), "--json"));
    assert.deepEqual(unpinned, { ...row, pinned: false });
    const { status, err } = await memories("delete", "abcdef012345");
    assert.equal(status, 1);
    assert.match(err, /No memory is kept of abcdef012345[\s\S]*quire memories/);
  });

  it("deletes one under an engine that holds it: that one goes on as it was, the next one reads it", async () => {
    const engine = await EngineProcess.start(place.home, on);
    try {
      const params = askOf(one, question);
      const before = await engine.ask(params).result;
      assert.equal(before.stats.reusedTokens, read(before), "it came from the disk");
      const { id, ownBytes } = await rowOf(one);
      const outcome = await memories("delete", one, "--json");
      assert.deepEqual(objects(outcome), [{ deleted: id, freedBytes: ownBytes, refusedFiles: 0, refused: "" }]);
      const after = await engine.ask({ ...params, id: "2" }).result;
      assert.equal(after.answer, before.answer);
      assert.ok(after.stats.reusedTokens >= read(after));
    } finally {
      await engine.dispose();
    }
    const again = await ask(one);
    assert.equal(again.stats.reusedTokens, again.documents[0]?.tokens, "only the instructions, which are others' too");
  });

  it("reads again what it is told to, all of it, and keeps its pin", async () => {
    await memories("pin", two);
    const { err, status } = await memories("read-again", two);
    assert.equal(status, 0, err);
    assert.match(err, /two is read again with the next question/);
    assert.equal((await ask(two)).stats.reusedTokens, 0);
    assert.equal((await rowOf(two)).pinned, true);
  });

  it("deletes everything under an engine that is reading and saving, and says what stays", async () => {
    const unasked = await memories("delete-all");
    assert.equal(unasked.status, 1);
    assert.match(unasked.err, /Delete \d+ memor.*token ids.*Nothing was deleted[\s\S]*--yes/);
    const engine = await EngineProcess.start(place.home, on);
    try {
      const third = place.workspace("three", { "src/d.js": sourceText(4, 12) });
      const running = engine.ask(askOf(third, question));
      await engine.seen(({ method, params }) => method === "stage" && params.stage === "reading");
      const { status, err } = await memories("delete-all", "--yes");
      assert.equal(status, 0, err);
      assert.match(err, /Deleted: .*\d models? \([\d.]+ .B\) stays?\.[\s\S]*quire models remove <name>/);
      assert.notEqual((await running.result).answer, "");
    } finally {
      await engine.dispose();
    }
    await memories("delete-all", "--yes");
    assert.deepEqual(await rows(), []);
    const left = ["memories", "tokens"].filter((name) => existsSync(path.join(place.home, name)));
    assert.deepEqual(left, []);
    assert.ok(readdirSync(path.join(place.home, "models")).some((name) => name.endsWith(".gguf")));
  });
});
