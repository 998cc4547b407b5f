// Selected code in a question: how it stands before the words, how much of it is repeated, and what is looked up for it.

import assert from "node:assert/strict";
import path from "node:path";
import type { AskParams, AskResult, SelectedCode } from "../../engine/protocol.ts";
import { Place, sourceText } from "./cli/quire.ts";
import { askOf, EngineProcess, turnOf } from "./engine-process.ts";

describe("a question about selected code", function () {
  this.timeout(300_000);
  const place = new Place();
  let root = "";
  let engine: EngineProcess;
  const user = [
    "import { add5Entry40 } from '../big.js';",
    "export function fill(table) {",
    "  return add5Entry40(table, 'first');",
    "}",
    "",
  ].join("\n");

  before(async () => {
    await place.prepare();
    root = place.workspace("w", { "src/a.js": user, "src/b.js": sourceText(2, 2), "big.js": sourceText(5, 60) });
    engine = await EngineProcess.start(place.home, { QUIRE_MEMORY: "off" });
  });
  after(async () => {
    await engine.dispose();
    place.dispose();
  });

  const selected = (file: string, startLine: number, endLine: number, text: string): SelectedCode => ({
    path: path.join(root, file),
    startLine,
    endLine,
    text,
  });
  const params = (selection?: SelectedCode, change: Partial<AskParams> = {}): AskParams =>
    askOf(root, "Explain this code.", { maxTokens: 2, ...(selection === undefined ? {} : { selection }), ...change });
  const tail = (result: AskResult): number => result.meter.threadTokens - result.stats.decodedTokens;

  it("brings in the definition of what the code uses, and not the code itself again", async () => {
    const lines = user.split("\n").slice(1, 4).join("\n");
    const definedAt =
      sourceText(5, 60)
        .split("\n")
        .findIndex((line) => line.includes("function add5Entry40(")) + 1;
    const result = await engine.ask(params(selected("src/a.js", 2, 4, lines))).result;
    assert.ok(
      result.lookedUp.some(
        ({ path: file, startLine, endLine }) => file === "big.js" && startLine <= definedAt && endLine >= definedAt,
      ),
      JSON.stringify(result.lookedUp),
    );
    assert.ok(
      !result.lookedUp.some(
        ({ path: file, startLine, endLine }) => file === "src/a.js" && startLine >= 2 && endLine <= 4,
      ),
    );
    assert.equal(result.preface, "");
    assert.doesNotMatch(result.answer, /^I don't find/);
  });

  it("repeats at most 600 tokens of a file that is in memory in full", async () => {
    const text = sourceText(2, 2);
    const whole = selected("src/b.js", 1, text.split("\n").length, text.repeat(20));
    const result = await engine.ask(params(whole)).result;
    // Besides: the question, the template and up to four notes on where names are defined.
    const added = result.lookedUp.reduce((sum, { tokens }) => sum + tokens, 0);
    assert.ok(tail(result) - added < 600 + 200, `${tail(result)} tokens, ${added} of them looked up`);
  });

  it("in a file that memory lacks brings the lines beside it", async () => {
    const lines = sourceText(5, 60).split("\n");
    const selection = selected("big.js", 200, 204, lines.slice(199, 204).join("\n"));
    const result = await engine.ask(params(selection)).result;
    assert.notEqual(result.documents.find((row) => row.path === "big.js")?.detail, "full");
    const beside = result.lookedUp.filter((region) => region.why === "beside the selection");
    assert.deepEqual(beside.map(({ startLine, endLine }) => [startLine, endLine]).sort(), [
      [188, 199],
      [205, 216],
    ]);
  });

  it("is a part of its turn in a thread", async () => {
    const one = params(selected("src/a.js", 2, 4, user.split("\n").slice(1, 4).join("\n")));
    const first = await engine.ask(one).result;
    const second = await engine.ask(params(undefined, { thread: { id: "t", turns: [turnOf(one, first)] } })).result;
    assert.equal(second.stats.reusedTokens, first.meter.memoryTokens + first.meter.threadTokens);
    const other = { ...turnOf(one, first), selection: selected("src/a.js", 1, 1, "import") };
    const third = await engine.ask(params(undefined, { thread: { id: "t", turns: [other] } })).result;
    assert.ok(third.stats.reusedTokens < second.stats.reusedTokens, "another selection is another turn");
  });

  it("of a file outside of every folder stands under its name", async () => {
    const selection = { path: "/elsewhere/odd name.js", startLine: 1, endLine: 1, text: "let x = 1;" };
    const result = await engine.ask(params(selection)).result;
    assert.ok(result.stats.decodedTokens > 0);
  });
});
