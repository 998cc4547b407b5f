// Editors that are not saved: their text counts, and nothing of it or made from it reaches the disk.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { readGguf } from "../../engine/models/gguf.ts";
import type { AskParams, AskResult, UnsavedFile } from "../../engine/protocol.ts";
import { Tokenizer } from "../../engine/tokenize/tokenizer.ts";
import { fetchedModel } from "../models/fetched-model.ts";
import { Place, smallModel, sourceText } from "./cli/quire.ts";
import { askOf, EngineProcess } from "./engine-process.ts";

describe("an unsaved editor", function () {
  this.timeout(300_000);
  const place = new Place();
  let root = "";
  let engine: EngineProcess;
  const secret = "zebraUmbrellaConstant";
  const edited = `${sourceText(2, 2)}\nexport const ${secret} = 4711;\n`;

  before(async () => {
    await place.prepare();
    root = place.workspace("w", {
      "src/a.js": sourceText(1, 2),
      "src/b.js": sourceText(2, 2),
      "src/c.js": sourceText(3, 2),
      ".gitignore": "ignored/\n",
    });
    engine = await EngineProcess.start(place.home, { QUIRE_MEMORY: "on" });
  });
  after(async () => {
    await engine.dispose();
    place.dispose();
  });

  const ask = (unsaved: UnsavedFile[], question = "Hello there, who are you?"): Promise<AskResult> => {
    const params: AskParams = askOf(root, question, { maxTokens: 4 });
    return engine.ask({ ...params, workspace: { ...params.workspace, unsaved } }).result;
  };
  const savedFiles = (): string[] =>
    readdirSync(place.home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .filter((file) => !file.includes(`${path.sep}models${path.sep}`))
      .sort();
  const memories = (): string[] => savedFiles().filter((file) => file.includes(`${path.sep}memories${path.sep}`));
  /** Names of the saved documents; while one is written, its file is called otherwise. */
  const documents = (): string[] => {
    const names = memories().flatMap((file) => /[0-9a-f]{64}/.exec(path.basename(file)) ?? []);
    return [...new Set(names)].sort();
  };
  const paths = (result: AskResult): string[] => result.documents.map((document) => document.path);

  it("counts instead of the disk, is found by the look-up, and leaves nothing on disk", async () => {
    const first = await ask([{ path: path.join(root, "src", "b.js"), text: edited }]);
    const files = documents();
    const before = paths(first).indexOf("src/b.js");
    assert.ok(before > 0);
    assert.equal(files.length, before, "only the documents before it are saved");
    const second = await ask([{ path: path.join(root, "src", "b.js"), text: edited }], `Where is ${secret} defined?`);
    assert.doesNotMatch(second.answer, /I don't find/);
    assert.ok(
      second.lookedUp.some((region) => region.path === "src/b.js"),
      "the look-up reads the editor's text",
    );
    assert.equal(second.stats.reusedTokens, first.meter.memoryTokens, "the same text is not read again");
    assert.deepEqual(documents(), files);
  });

  it("leaves no token of it in the token cache", async () => {
    const text = `${sourceText(9, 3)}\n// ${secret}\n`;
    await ask([{ path: path.join(root, "src", "b.js"), text }], `What is ${secret}?`);
    await ask([]); // the cache is written behind an answer
    const { tokenizer } = await readGguf(await fetchedModel(smallModel));
    const ids = new Tokenizer(tokenizer).encode(secret).slice(0, -1);
    const written = savedFiles().filter((file) => file.endsWith(".tokens"));
    assert.equal(written.length, 1);
    for (const file of [...written, ...memories()]) {
      assert.ok(!readFileSync(file).includes(Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength)), file);
    }
  });

  it("that is saved is saved in memory too, without being read again", async () => {
    const unsaved = await ask([{ path: path.join(root, "src", "b.js"), text: edited }]);
    writeFileSync(path.join(root, "src", "b.js"), edited);
    const saved = await ask([]);
    assert.equal(saved.stats.reusedTokens >= unsaved.meter.memoryTokens, true);
    assert.ok(memories().length >= paths(saved).length);
    writeFileSync(path.join(root, "src", "b.js"), sourceText(2, 2));
  });

  it("of a file that is not on disk yet is read, unless an ignore file or a rule refuses it", async () => {
    const result = await ask([
      { path: path.join(root, "src", "deep", "new.js"), text: "export const brandNew = 1;\n" },
      { path: path.join(root, "ignored", "new.js"), text: "export const hidden = 1;\n" },
      { path: path.join(root, ".env"), text: "TOKEN=1\n" },
      { path: path.join(root, "huge.js"), text: `${"x".repeat(99)}\n`.repeat(11_000) },
      { path: path.join(root, "..", "elsewhere.js"), text: "export const outside = 1;\n" },
    ]);
    const shown = paths(result);
    assert.ok(shown.includes("src/deep/new.js"));
    assert.ok(!shown.some((file) => /ignored|\.env|huge|elsewhere/.test(file)), shown.join());
    const reasons = new Map(result.leftOut.map((row) => [row.path, row.reason]));
    assert.equal(reasons.get(".env"), "secret-looking");
    assert.equal(reasons.get("huge.js"), "too large");
  });
});
