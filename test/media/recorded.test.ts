// recorded.test.ts — the recorded sessions that the panel is developed and tested with: real engine, real model, real repository.
//
// They are golden files, rewritten with QUIRE_RECORD=1 (minutes on a CPU; needs the models of the catalog, fetched beforehand, and
// the package registries). Without it: what is recorded is what the panel still understands.
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { toPanel } from "../../media/messages.ts";
import { ensureRepository, repositories } from "../bench/answers/repositories.ts";
import { type Recording, record } from "./record.ts";

const folder = path.join(import.meta.dirname, "recorded");

async function repository(name: string): Promise<string> {
  const wanted = repositories.find((each) => each.name === name);
  assert.ok(wanted);
  return ensureRepository(wanted);
}

/** Name of the file, and how it comes about. */
const sessions: Record<string, () => Promise<Recording>> = {
  ask: async () => {
    const options = {
      folder: await repository("typed-inject"),
      maxTokens: 400,
      settings: { model: "qwen2.5-coder-1.5b" },
    };
    return record(options, async ({ conversation, idle, until }) => {
      conversation.ask("How does an injector decide whether to create a new instance or to reuse one? Show the code.");
      await idle();
      conversation.ask("Which errors can it throw, and in which files are they defined?");
      await idle();
      conversation.ask("Explain each file of the project, one after the other, in detail.");
      await until(({ thread }) => (thread.turns.at(-1)?.text.length ?? 0) > 300);
      conversation.stop();
      await idle();
    });
  },
  download: async () => {
    const home = await mkdtemp(path.join(tmpdir(), "quire-record-"));
    try {
      const options = { folder: await repository("zict"), maxTokens: 120, settings: {}, env: { QUIRE_HOME: home } };
      return await record(options, async ({ conversation, idle }) => {
        conversation.ask("What is a Buffer for?");
        await idle();
      });
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
  failure: async () => {
    const options = { folder: await repository("zict"), maxTokens: 120, settings: { model: "qwen-of-nowhere" } };
    return record(options, async ({ conversation, idle }) => {
      conversation.ask("What is a Buffer for?");
      await idle();
    });
  },
};

describe("recorded sessions", () => {
  before(async function () {
    if (process.env.QUIRE_RECORD !== "1") return;
    this.timeout(1_200_000);
    for (const [name, make] of Object.entries(sessions)) {
      const lines = (await make()).map((entry) => JSON.stringify(entry));
      await writeFile(path.join(folder, `${name}.json`), `[\n${lines.join(",\n")}\n]\n`);
    }
  });

  it("are messages that the panel understands, in the order of their times", async () => {
    const files = await readdir(folder);
    assert.deepEqual(
      files.sort(),
      Object.keys(sessions)
        .sort()
        .map((name) => `${name}.json`),
    );
    for (const file of files) {
      const entries: unknown = JSON.parse(await readFile(path.join(folder, file), "utf8"));
      assert.ok(Array.isArray(entries) && entries.length > 1, file);
      let last = 0;
      for (const { at, message } of entries) {
        assert.ok(at >= last, `${file}: ${at} after ${last}`);
        last = at;
        const parsed = toPanel.safeParse(message);
        assert.ok(parsed.success, `${file} at ${at}: ${parsed.error?.message}`);
      }
    }
  });

  it("hold the engine's state, reading, text and an answer with verified citations", async () => {
    const entries: Recording = JSON.parse(await readFile(path.join(folder, "ask.json"), "utf8"));
    const states = entries.flatMap(({ message }) => (message.type === "state" ? [message.state] : []));
    assert.ok(entries.some(({ message }) => message.type === "text"));
    assert.ok(entries.some(({ message }) => message.type === "progress" && message.progress.stage === "reading"));
    const turns = states.at(-1)?.thread.turns ?? [];
    assert.deepEqual(
      turns.map(({ state }) => state),
      ["done", "done", "stopped"],
    );
    assert.ok(turns[0]?.answer?.citations.some(({ verified }) => verified));
    assert.equal(turns[1]?.answer?.stats.reusedTokens, states.at(-1)?.meter?.memoryTokens);
  });
});
