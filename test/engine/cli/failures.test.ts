// What goes wrong on the way of a question: each time a sentence and a next step on standard error, an object with the code on
// standard output under --json, and a status other than 0.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { nextSteps } from "../../../engine/errors.ts";
import { tinyModel, withKey, withTensor, writeGguf } from "../models/gguf-writer.ts";
import { type Outcome, objects, Place, smallModel, sourceText } from "./quire.ts";

interface Failure {
  code: string;
  message: string;
  where?: string;
  nextStep: string;
}

/** What a failed run said, its promises checked. */
function failureOf(outcome: Outcome): Failure {
  assert.notEqual(outcome.status, 0, `it went well: ${outcome.out}`);
  const lines = objects(outcome);
  assert.equal(lines.length, 1, `one object: ${outcome.out} ${outcome.err}`);
  const { code, message, nextStep } = (lines[0]?.error ?? {}) as Failure;
  assert.ok(code in nextSteps, `a known code: ${code}`);
  assert.ok(outcome.err.includes(`quire: ${message}`), outcome.err);
  assert.ok(nextStep.length > 10 && outcome.err.includes(nextStep), outcome.err);
  assert.doesNotMatch(outcome.err, /\n\s+at .*:\d+:\d+/, "no stack for the user");
  assert.notEqual(code, "internal", message);
  return { code, message, nextStep };
}

describe("a question that goes wrong", function () {
  this.timeout(120_000);
  const place = new Place();
  let good = "";

  before(async () => {
    await place.prepare();
    good = place.workspace("good", { "a.js": sourceText(1, 3) });
  });
  after(() => place.dispose());

  const ask = (...args: string[]): Promise<Outcome> =>
    place.run(["ask", "What is kept?", "--json", "--max-tokens", "4", ...args]);

  const folders: [string, () => string, string, RegExp][] = [
    ["no such folder", () => path.join(place.folder, "nowhere"), "no-such-folder", /There is no folder .*nowhere/],
    ["a file as the folder", () => path.join(good, "a.js"), "no-such-folder", /There is no folder/],
    ["an empty folder", () => place.workspace("empty", {}), "empty-workspace", /nothing to read.*it is empty/],
    [
      "only a binary file",
      () => place.workspace("binary", { "a.bin": new Uint8Array([0, 1, 2, 0, 255]) }),
      "empty-workspace",
      /a\.bin \(binary\)/,
    ],
    [
      "only a 200 MB file",
      () => {
        const root = place.workspace("large", { "a.js": "x" });
        truncateSync(path.join(root, "a.js"), 200_000_000);
        return root;
      },
      "empty-workspace",
      /a\.js \(too large\)/,
    ],
    [
      "only secrets",
      () => place.workspace("secrets", { ".env": "TOKEN=abc\n" }),
      "empty-workspace",
      /\.env \(secret-looking\)/,
    ],
    [
      "only a loop of links",
      () => {
        const root = place.workspace("loop", {});
        symlinkSync("b", path.join(root, "a"));
        symlinkSync("a", path.join(root, "b"));
        return root;
      },
      "empty-workspace",
      /nothing to read/,
    ],
  ];
  for (const [what, root, code, message] of folders) {
    it(`${what}: ${code}`, async () => {
      const failure = failureOf(await ask("--model", smallModel, "--root", root()));
      assert.equal(failure.code, code);
      assert.match(failure.message, message);
    });
  }

  const options: [string[], string, RegExp][] = [
    [["--token-budget", "10"], "budget-too-small", /holds nothing/],
    [["--token-budget", "1000000000"], "bad-option", /--token-budget must be a whole number from 0 to 100000000/],
    [["--token-budget", "90000000"], "budget-too-large", /reads at most \d+ tokens/],
    [["--token-budget", "many"], "bad-option", /not "many"/],
    [["--token-budget", "1.5"], "bad-option", /whole number/],
    [["--page-budget", "8"], "bad-option", /from 16/],
    [["--page-budget", "-1"], "bad-option", /from 16/],
    [["--max-tokens", "0"], "bad-option", /from 1 to/],
    [["--max-tokens", ""], "bad-option", /from 1 to/],
    [["--max-tokens", "100000"], "budget-too-small", /no room to read/],
    [["--dense-layers", "1000"], "bad-option", /from 0 to 512/],
    [["--threads", "-2"], "bad-option", /from 0 to 1024/],
    [["--temperature", "11"], "bad-option", /from 0 to 10/],
    [["--temperature", "NaN"], "bad-option", /number from 0/],
    [["--top-k", "-1"], "bad-option", /whole number/],
    [["--top-p", "0"], "bad-option", /to 1/],
    [["--top-p", "1.1"], "bad-option", /to 1/],
    [["--min-p", "2"], "bad-option", /to 1/],
    [["--repeat-penalty", "0"], "bad-option", /to 10/],
    [["--seed", "-1"], "bad-option", /whole number/],
    [["--seed", "1e300"], "bad-option", /whole number/],
    [["--cpu", "abacus"], "bad-option", /abacus/],
    [["--summary", "best"], "bad-option", /mean-spread/],
    [["--vote", "none"], "bad-option", /softmax/],
    [["--model", "gpt-9"], "unknown-model", /gpt-9/],
    [["--model", "/nowhere/model.gguf"], "model-missing", /model\.gguf/],
  ];
  it("bad options, each named with its range", async () => {
    for (const [args, code, message] of options) {
      const failure = failureOf(await ask("--root", good, "--model", smallModel, ...args));
      assert.equal(failure.code, code, `${args.join(" ")}: ${failure.message}`);
      assert.match(failure.message, message);
    }
  }).timeout(400_000);

  it("a budget that is too large says the largest, and that one works", async () => {
    const { nextStep } = failureOf(await ask("--root", good, "--model", smallModel, "--token-budget", "90000000"));
    const most = /--token-budget (\d+)/.exec(nextStep)?.[1];
    assert.ok(most !== undefined, nextStep);
    const outcome = await ask("--root", good, "--model", smallModel, "--token-budget", most);
    assert.equal(outcome.status, 0, outcome.err);
    assert.equal(objects(outcome)[0]?.tokenBudget, Number(most));
  });

  for (const [what, question] of [
    ["an empty question", ""],
    ["a blank question", " \n\t"],
  ] as const) {
    it(`${what}: bad-option`, async () => {
      const outcome = await place.run(["ask", question, "--root", good, "--model", smallModel, "--json"]);
      const failure = failureOf(outcome);
      assert.equal(failure.code, "bad-option");
      assert.match(failure.message, /question is empty/);
    });
  }

  it("no question, no command, an unknown command or option: the usage, and a status other than 0", async () => {
    for (const args of [["ask"], ["frobnicate"], ["ask", "x", "--frobnicate"], ["models", "verify"]]) {
      const outcome = await place.run(args);
      assert.notEqual(outcome.status, 0, args.join(" "));
      assert.match(outcome.err, /^quire: .*\n {7}See `quire help`/);
      assert.equal(outcome.out, "");
    }
  });

  const tiny = tinyModel();
  const models: [string, () => Uint8Array, string][] = [
    ["cut off in the middle", () => writeGguf(tiny).bytes.slice(0, -1000), "invalid-model"],
    ["cut off in its header", () => writeGguf(tiny).bytes.slice(0, 100), "invalid-model"],
    ["empty", () => new Uint8Array(), "invalid-model"],
    ["not GGUF at all", () => new TextEncoder().encode("#!/bin/sh\necho no\n"), "invalid-model"],
    [
      "of another architecture",
      () => writeGguf(withKey(tiny, "general.architecture", { type: "string", value: "mamba" })).bytes,
      "unsupported-model",
    ],
    ["with a tensor missing", () => writeGguf(withTensor(tiny, "blk.0.attn_k.weight", null)).bytes, "invalid-model"],
    [
      "with a tensor of the wrong shape",
      () => writeGguf(withTensor(tiny, "blk.0.ffn_up.weight", { shape: [32, 32] })).bytes,
      "invalid-model",
    ],
    [
      "with more heads than there is memory",
      () => writeGguf(withKey(tiny, "llama.attention.head_count", { type: "u32", value: 0xffffffff })).bytes,
      "invalid-model",
    ],
    [
      "with a million layers",
      () => writeGguf(withKey(tiny, "llama.block_count", { type: "u32", value: 1_000_000 })).bytes,
      "invalid-model",
    ],
  ];
  for (const [what, bytes, code] of models) {
    it(`a model file ${what}: ${code}`, async () => {
      const file = path.join(place.folder, `${what.replaceAll(" ", "-")}.gguf`);
      writeFileSync(file, bytes());
      const failure = failureOf(await ask("--root", good, "--model", file));
      assert.equal(failure.code, code, failure.message);
    });
  }

  it("a home that cannot be written: said with the folder", async function () {
    if (process.getuid?.() === 0 || process.platform === "win32") {
      console.log("      skipped: root may write everywhere");
      this.skip();
    }
    const home = path.join(place.folder, "closed");
    mkdirSync(home, { mode: 0o500 });
    chmodSync(home, 0o500);
    const outcome = await place.run(["ask", "What?", "--root", good, "--model", smallModel, "--json"], {
      QUIRE_HOME: home,
    });
    assert.equal(failureOf(outcome).code, "no-such-folder");
  });

  it("a home given as a relative path: bad-option", async () => {
    const outcome = await place.run(["models", "list", "--json"], { QUIRE_HOME: "here" });
    assert.equal(failureOf(outcome).code, "bad-option");
  });
});
