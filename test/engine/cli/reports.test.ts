// `quire map`, `models` and `doctor`: the shape of what they print under --json, and the same for people.

import assert from "node:assert/strict";
import { z } from "zod";
import { catalog } from "../../../engine/models/catalog.ts";
import { objects, Place, smallModel, sourceText } from "./quire.ts";

const count = z.int().nonnegative();
const detail = z.enum(["full", "outline", "name", "off"]);
const mapSchema = z.strictObject({
  model: z.string(),
  documents: z.array(z.strictObject({ path: z.string(), detail, tokens: count })),
  leftOut: z.array(z.strictObject({ path: z.string(), reason: z.string(), detail: z.string().optional() })),
  tokenBudget: count,
  budgetReason: z.string(),
  usedTokens: count,
  memoryBytes: z.int().positive(),
});
const modelSchema = z.strictObject({
  name: z.string(),
  title: z.string(),
  licence: z.string(),
  bytes: z.int().positive(),
  context: z.int().positive(),
  state: z.enum(["present", "partial", "missing", "corrupt"]),
  path: z.string(),
  bytesOnDisk: count,
});
const doctorSchema = z.strictObject({
  engineVersion: z.string(),
  node: z.string(),
  platform: z.string(),
  cpu: z.string(),
  cores: z.int().positive(),
  memoryBytes: z.int().positive(),
  availableBytes: z.int().positive(),
  backends: z.array(z.strictObject({ name: z.string(), usable: z.boolean(), reason: z.string() })).min(1),
  tools: z.array(z.strictObject({ name: z.string(), found: z.boolean(), detail: z.string(), need: z.string() })),
  folder: z.string(),
  models: z.array(modelSchema),
  missing: z.array(z.string()),
  /** Those that clients share; looking starts none, and here none runs. */
  engines: z.array(z.unknown()).length(0),
});

describe("what the client reports", function () {
  this.timeout(60_000);
  const place = new Place();
  let root = "";

  before(async () => {
    await place.prepare();
    root = place.workspace("map", {
      "src/a.js": sourceText(1, 8),
      "src/b.js": sourceText(2, 30),
      "logo.png": new Uint8Array([137, 80, 78, 71, 0, 1, 2, 3]),
      ".env": "TOKEN=abc\n",
    });
  });
  after(() => place.dispose());

  it("map --json: one object whose tokens add up and stay within the budget", async () => {
    const outcome = await place.run(["map", "--root", root, "--model", smallModel, "--token-budget", "3000", "--json"]);
    assert.equal(outcome.status, 0, outcome.err);
    const [map, ...more] = objects(outcome).map((object) => mapSchema.parse(object));
    assert.ok(map);
    assert.deepEqual(more, []);
    assert.equal(
      map.usedTokens,
      map.documents.reduce((sum, { tokens }) => sum + tokens, 0),
    );
    assert.ok(map.usedTokens <= 3000 && map.tokenBudget === 3000);
    const byPath = new Map([...map.documents, ...map.leftOut].map((row) => [row.path, row]));
    assert.equal(byPath.size, map.documents.length + map.leftOut.length, "each file once");
    assert.deepEqual(
      ["src/a.js", "src/b.js", "logo.png", ".env"].filter((name) => !byPath.has(name)),
      [],
    );
  });

  it("map: a tree with folders, tokens and reasons", async () => {
    const outcome = await place.run(["map", "--root", root, "--model", smallModel]);
    assert.equal(outcome.status, 0, outcome.err);
    assert.match(outcome.out, /\d+ {2}src\/\n/);
    assert.match(outcome.out, /\d+ {4}a\.js/);
    assert.match(outcome.out, /binary: logo\.png/);
    assert.match(outcome.out, /secret-looking: \.env/);
  });

  it("models list --json: one object per model of the catalog", async () => {
    const outcome = await place.run(["models", "list", "--json"]);
    assert.equal(outcome.status, 0, outcome.err);
    const rows = objects(outcome).map((object) => modelSchema.parse(object));
    assert.deepEqual(
      rows.map((row) => row.name),
      catalog.map((entry) => entry.name),
    );
    assert.equal(rows.find((row) => row.name === smallModel)?.state, "present");
  });

  it("models verify --json: the model's row, status 0 when it is whole", async () => {
    const outcome = await place.run(["models", "verify", smallModel, "--json"]);
    assert.equal(outcome.status, 0, outcome.err);
    assert.equal(modelSchema.parse(objects(outcome)[0]).state, "present");
  });

  it("models fetch: what is here is not fetched again", async () => {
    const outcome = await place.run(["models", "fetch", smallModel, "--json"]);
    assert.equal(outcome.status, 0, outcome.err);
    assert.equal(modelSchema.parse(objects(outcome)[0]).state, "present");
    assert.doesNotMatch(outcome.err, /Fetching/);
  });

  it("doctor --json: one object; status 0 exactly when nothing is missing", async () => {
    const outcome = await place.run(["doctor", "--json"]);
    const report = doctorSchema.parse(objects(outcome)[0]);
    assert.equal(outcome.status, report.missing.length === 0 ? 0 : 1);
    assert.ok(report.backends.some((backend) => backend.usable));
    assert.equal(report.folder, place.home);
  });

  it("help and version: status 0", async () => {
    for (const args of [["--help"], ["ask", "--help"], ["--version"]]) {
      const outcome = await place.run(args);
      assert.equal(outcome.status, 0, args.join(" "));
      assert.notEqual(outcome.out, "");
    }
  });
});
