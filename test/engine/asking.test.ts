// What an ask says besides its answer: what is planned, the log, reading again, models that may not be fetched, globs of a folder.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { methods, type PlannedEvent } from "../../engine/protocol.ts";
import { Place, sourceText } from "./cli/quire.ts";
import { askOf, EngineProcess, failureOf } from "./engine-process.ts";

describe("an ask over JSON-RPC", function () {
  this.timeout(300_000);
  const place = new Place();
  let root = "";
  let engine: EngineProcess;

  before(async () => {
    await place.prepare();
    root = place.workspace("w", { "src/a.js": sourceText(1, 2), "src/b.js": sourceText(2, 2) });
  });
  after(() => place.dispose());
  beforeEach(async () => {
    engine = await EngineProcess.start(place.home, { QUIRE_MEMORY: "on" });
  });
  afterEach(() => engine.dispose());

  const logged = (pattern: RegExp): boolean =>
    engine.events.some(({ method, params }) => method === "log" && pattern.test(String(params.message)));

  it("says what it will read before it reads, and the same in the end", async () => {
    const result = await engine.ask(askOf(root, "Hello?", { maxTokens: 2 })).result;
    const names = engine.events.map(({ method, params }) => `${method} ${params.stage ?? ""}`);
    const planned = engine.events.find(({ method }) => method === "planned")?.params as unknown as PlannedEvent;
    assert.ok(names.indexOf("planned ") < names.indexOf("stage reading"), names.join());
    assert.deepEqual(planned.documents, result.documents);
    assert.equal(planned.usedTokens, result.meter.memoryTokens);
    assert.deepEqual([planned.tokenBudget, planned.budgetReason], [result.tokenBudget, result.budgetReason]);
    assert.match(result.budgetReason, /2,048 tokens, as asked/);
    for (const line of [/opened in .* threads/, /2 files collected/, /read in .* s/])
      assert.ok(logged(line), String(line));
  });

  it("reads again what is in memory and on disk when it is to be fresh, and saves it anew", async () => {
    await engine.ask(askOf(root, "Hello?", { maxTokens: 2 })).result;
    const kept = await engine.ask(askOf(root, "Hello?", { maxTokens: 2 })).result;
    assert.ok(kept.stats.reusedTokens > kept.meter.memoryTokens - 1);
    const files = (): string[] =>
      readdirSync(path.join(place.home, "memories"), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && /^[0-9a-f]+$/.test(entry.name))
        .map((entry) => path.join(entry.parentPath, entry.name));
    const births = (): number[] => files().map((file) => statSync(file, { throwIfNoEntry: false })?.birthtimeMs ?? 0);
    const before = births();
    const fresh = await engine.ask(askOf(root, "Hello?", { maxTokens: 2, fresh: true })).result;
    assert.equal(fresh.stats.reusedTokens, 0);
    assert.equal(fresh.answer, kept.answer);
    assert.ok(before.length > 0, "documents are on the disk");
    // They come to the disk beside the answer: until they are other files, this waits.
    while (!births().every((birth, index) => birth > (before[index] ?? 0))) await sleep(20);
    assert.equal(files().length, before.length);
  });

  it("with a model that is not here fails when it may not be fetched, before anything is", async () => {
    await engine.dispose();
    const home = path.join(place.folder, "empty-home");
    mkdirSync(home, { mode: 0o700 });
    engine = await EngineProcess.start(home);
    const params = askOf(root, "Hello?", { mayFetch: false });
    const failure = await failureOf(engine.ask(params));
    assert.deepEqual([failure.code, failure.where], ["model-missing", params.settings.model]);
    assert.ok(!engine.events.some(({ method }) => method === "fetching"));
  });

  it("heeds the globs of a folder besides the workspace's", async () => {
    const params = askOf(root, "Hello?");
    const workspace = { ...params.workspace, folders: [{ name: "w", root, include: ["src/"], exclude: ["b.js"] }] };
    const map = await engine.request<{ documents: { path: string }[] }>(methods.map, {
      id: "m",
      workspace,
      settings: params.settings,
    });
    const shown = map.documents.map((document) => document.path).filter((name) => name.endsWith(".js"));
    assert.deepEqual(shown, ["src/a.js"]);
  });

  it("tells an internal failure in a line, and its stack in the log", async () => {
    await engine.dispose();
    engine = await EngineProcess.start(place.home, { QUIRE_RIPGREP: "/nowhere/rg" });
    const params = askOf(root, "Hello?");
    const failure = await failureOf(engine.ask({ ...params, workspace: { ...params.workspace, trusted: false } }));
    assert.equal(failure.code, "internal");
    assert.ok(!failure.message.includes("\n"), failure.message);
    await engine.seen(({ method, params: { message } }) => method === "log" && /\n\s+at /.test(String(message)));
  });
});
