// secrets.test.ts — what looks like a secret is not read, so that nothing of it is on disk: neither in a memory nor among token ids.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { readGguf } from "../../../engine/models/gguf.ts";
import { Tokenizer } from "../../../engine/tokenize/tokenizer.ts";
import { fetchedModel } from "../../models/fetched-model.ts";
import { objects, Place, smallModel, sourceText } from "../cli/quire.ts";

const words = ["violet", "harbour", "seventeen", "lantern", "orchard", "quartz", "meadow", "copper"];
/** Distinct in every file, so that the file is known by it. */
const mark = (seed: number): string => words.map((_, index) => words[(index * 3 + seed) % words.length]).join("-");

const secrets: Record<string, string> = {
  ".env": `API_TOKEN=${mark(0)}\n`,
  "deploy/.env.production": `API_TOKEN=${mark(1)}\n`,
  "deploy/id_rsa": `${mark(2)}\n`,
  "config/secrets.yaml": `token: ${mark(3)}\n`,
  "config/server.pem": `${mark(4)}\n`,
  "docs/notes.md": `How to log in:\n\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n${mark(5)}\n-----END OPENSSH PRIVATE KEY-----\n`,
};
const open = { "src/a.js": `${sourceText(1, 2)}\nexport const greeting = "${mark(6)}";\n` };

describe("what looks like a secret", function () {
  this.timeout(600_000);
  const place = new Place();
  let files: { name: string; bytes: Buffer }[] = [];
  let tokenizer: Tokenizer;

  before(async () => {
    await place.prepare();
    const root = place.workspace("app", { ...secrets, ...open });
    const args = ["ask", "What is API_TOKEN in .env, and what does deploy/id_rsa say?", "--root", root];
    const outcome = await place.run([...args, "--model", smallModel, "--json", "--max-tokens", "8"], {
      QUIRE_MEMORY: "on",
    });
    assert.equal(outcome.status, 0, outcome.err);
    const leftOut = (objects(outcome)[0] as { leftOut: { path: string; reason: string }[] }).leftOut;
    assert.deepEqual(
      leftOut.flatMap(({ path: name, reason }) => (reason === "secret-looking" ? [name] : [])).sort(),
      Object.keys(secrets).sort(),
    );
    files = filesIn(place.home);
    tokenizer = await Tokenizer.create((await readGguf(await fetchedModel(smallModel))).tokenizer);
  });
  after(() => place.dispose());

  /** Names of the files that hold the mark, as text or as token ids; its first and last ids depend on what is beside it. */
  function holding(text: string): string[] {
    const ids = Int32Array.from(tokenizer.encode(text)).slice(2, -2);
    assert.ok(ids.length >= 8);
    const spelt = [Buffer.from(text), Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength)];
    return files.flatMap(({ name, bytes }) => (spelt.some((one) => bytes.includes(one)) ? [name] : []));
  }

  it("is in no file that Quire wrote, while what was read is found there", () => {
    const kept = holding(mark(6));
    assert.ok(
      kept.some((name) => name.startsWith("memories")),
      `found in ${kept}, of ${files.map(({ name }) => name)}`,
    );
    for (const [index, name] of Object.keys(secrets).entries()) assert.deepEqual(holding(mark(index)), [], name);
  });

  it("is named in none either, and every file and folder is its user's alone", () => {
    for (const { name, bytes } of files) {
      if (/[0-9a-f]{64}$/.test(name)) continue; // numbers, in which anything may stand
      for (const secret of Object.keys(secrets)) assert.equal(bytes.includes(secret), false, `${secret} in ${name}`);
    }
    const memories = readdirSync(path.join(place.home, "memories"), { recursive: true, encoding: "utf8" });
    assert.ok(memories.length > 2);
    for (const name of ["", ...memories]) {
      const status = statSync(path.join(place.home, "memories", name));
      assert.equal(status.mode & 0o777, status.isDirectory() ? 0o700 : 0o600, name);
    }
  });
});

/** All that lies in the folder but the models. */
function filesIn(folder: string): { name: string; bytes: Buffer }[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.startsWith("models") && statSync(path.join(folder, name)).isFile())
    .map((name) => ({ name, bytes: readFileSync(path.join(folder, name)) }));
}
