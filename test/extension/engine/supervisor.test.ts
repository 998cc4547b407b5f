// supervisor.test.ts — the engine's process as the extension keeps it: the real one, and faulty ones where a fault must be forced.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type DoctorReport, methods } from "../../../engine/protocol.ts";
import type { EngineFailure } from "../../../extension/engine/engine-failure.ts";
import { Supervisor, type SupervisorDeps } from "../../../extension/engine/supervisor.ts";
import { askSettings } from "../../../extension/settings/settings.ts";
import { fetchedModel } from "../../models/fetched-model.ts";

const root = path.join(import.meta.dirname, "..", "..", "..");
const real = [path.join(root, "dist", "engine.cjs")];
const env = { ...process.env, QUIRE_MEMORY: "off" };
const faulty = (fault: string): string[] => [path.join(import.meta.dirname, "faulty-engine.mjs"), fault];

interface Watched {
  supervisor: Supervisor;
  states: string[];
  crashes: string[];
  lines: string[];
}

describe("the engine's process", function () {
  this.timeout(30_000);
  const running: Supervisor[] = [];
  afterEach(() => {
    for (const supervisor of running.splice(0)) supervisor.dispose();
  });

  function watch(args: string[], more: Partial<SupervisorDeps> = {}): Watched {
    const watched: Omit<Watched, "supervisor"> = { states: [], crashes: [], lines: [] };
    const line = (text: string): void => void watched.lines.push(text);
    const supervisor = new Supervisor({
      program: () => ({ command: process.execPath, args, env: process.env }),
      client: "test",
      log: { debug: line, info: line, warn: line, error: line },
      crashed: (message) => void watched.crashes.push(message),
      pauses: [1, 1, 1],
      ...more,
    });
    supervisor.onDidChange(() => watched.states.push(supervisor.state.state));
    running.push(supervisor);
    return { supervisor, ...watched };
  }

  /** Resolves when the state is as wanted. */
  function reach(supervisor: Supervisor, wanted: string): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (supervisor.state.state !== wanted) return;
        listening.dispose();
        resolve();
      };
      const listening = supervisor.onDidChange(look);
      look();
    });
  }

  const failure =
    (code: string, message: RegExp) =>
    (error: EngineFailure): boolean =>
      error.code === code && message.test(error.message);

  it("starts with the first request, and says so", async () => {
    const { supervisor, states } = watch(real);
    assert.equal(supervisor.state.state, "stopped");
    const { cores } = await supervisor.request<DoctorReport>(methods.doctor, {});
    assert.ok(cores >= 1);
    assert.deepEqual(states, ["starting", "ready"]);
  });

  it("is one for requests that come together", async () => {
    const { supervisor, lines } = watch(real);
    await Promise.all([supervisor.request(methods.doctor, {}), supervisor.request(methods.listModels, {})]);
    assert.equal(lines.filter((line) => line.startsWith("Starting the engine")).length, 1);
  });

  it("carries a failure over with its code and next step", async () => {
    const { supervisor } = watch(real);
    const asked = supervisor.request(methods.verifyModel, { name: "no such model" });
    await assert.rejects(asked, failure("unknown-model", /no such model/));
  });

  it("is started again after a crash; the user is told once, and what ran fails", async () => {
    const { supervisor, crashes } = watch(real);
    await supervisor.request(methods.doctor, {});
    const first = supervisor.pid ?? 0;
    const lost = supervisor.request(methods.map, {
      id: "1",
      workspace: { folders: [{ name: "x", root }], include: [], exclude: [], trusted: false, unsaved: [] },
      settings: {},
    });
    lost.catch(() => {});
    process.kill(first, "SIGKILL");
    // Once, a request in the moment of the end failed with "write EPIPE".
    await assert.rejects(lost, failure("engine-ended", /SIGKILL/));
    await reach(supervisor, "ready");
    assert.notEqual(supervisor.pid, first);
    assert.equal(crashes.length, 1);
    assert.match(crashes[0] ?? "", /ended unexpectedly \(SIGKILL\)/);
    await supervisor.request(methods.doctor, {});
  });

  it("is not started a fourth time in a row by itself, but by the next request", async () => {
    const { supervisor, crashes } = watch(real);
    await supervisor.request(methods.doctor, {});
    for (let crash = 0; crash < 4; crash++) {
      await reach(supervisor, "ready");
      const pid = supervisor.pid ?? 0;
      process.kill(pid, "SIGKILL");
      await new Promise<void>((resolve) => {
        const listening = supervisor.onDidChange(() => {
          listening.dispose();
          resolve();
        });
      });
    }
    assert.equal(supervisor.state.state, "failed");
    assert.equal(crashes.length, 1);
    await supervisor.request(methods.doctor, {});
    assert.equal(supervisor.state.state, "ready");
  });

  it("that cannot start says why in its last words", async () => {
    const { supervisor } = watch(faulty("broken"));
    await assert.rejects(supervisor.request(methods.doctor, {}), failure("engine-ended", /addon is missing/));
    assert.equal(supervisor.state.state, "failed");
  });

  it("whose program is not there is a failure, not a crash of the editor", async () => {
    const { supervisor } = watch([], { program: () => ({ command: "/nowhere/node", args: [], env: {} }) });
    await assert.rejects(supervisor.request(methods.doctor, {}), failure("engine-ended", /does not start/));
  });

  it("of another version is refused with its own words, and no setting is blamed", async () => {
    const { supervisor } = watch(faulty("refuse"));
    await assert.rejects(supervisor.request(methods.doctor, {}), failure("engine-version", /Another version/));
  });

  it("that is not there is named by the error, not by the line that Node ends it with", async () => {
    const { supervisor } = watch([path.join(root, "dist", "nothing.cjs")]);
    await assert.rejects(supervisor.request(methods.doctor, {}), failure("engine-ended", /Cannot find module/));
  });

  it('is ready again after a plan (it stayed "answering" for ever: only an answer\'s end was looked at)', async () => {
    const { supervisor, states } = watch(real);
    // It fails once its folder is looked for, after its first stage.
    const workspace = {
      folders: [{ name: "x", root: "/nowhere" }],
      include: [],
      exclude: [],
      trusted: false,
      unsaved: [],
    };
    const settings = askSettings(() => undefined).engine;
    await assert.rejects(supervisor.request(methods.map, { id: "1", workspace, settings, mayFetch: false }));
    assert.ok(states.includes("preparing") && !states.includes("answering"), states.join(", "));
    assert.equal(supervisor.state.state, "ready");
  });

  it("says with what it is at work, and what it holds when it has answered", async () => {
    const { supervisor, states } = watch(real, { program: () => ({ command: process.execPath, args: real, env }) });
    const settings = askSettings(() => undefined);
    const folder = { name: "w", root: mkdtempSync(path.join(tmpdir(), "quire-supervisor-")) };
    writeFileSync(path.join(folder.root, "a.js"), "export const add = (a, b) => a + b;\n");
    const held: (number | undefined)[] = [];
    supervisor.onDidChange(() => held.push(supervisor.memory?.heldTokens));
    const ignore = (): void => {};
    const workspace = { folders: [folder], include: [], exclude: [], trusted: false, unsaved: [] };
    const engine = { ...settings.engine, model: await fetchedModel("smollm2-135m"), tokenBudget: 512 };
    // Nothing is in memory: that is nothing to start an engine for.
    assert.equal(await supervisor.follow({ id: "0", workspace, settings: engine, mayFetch: false }), undefined);
    const result = await supervisor.ask(
      {
        id: "1",
        workspace,
        settings: engine,
        question: "What does add do?",
        thread: { id: "t", turns: [] },
        fresh: false,
        maxTokens: 2,
        sampling: settings.sampling,
      },
      { progress: ignore, text: ignore, planned: ignore, notice: ignore },
      new AbortController().signal,
    );
    writeFileSync(path.join(folder.root, "a.js"), "export const add = (a, b) => a - b;\n");
    const followed = await supervisor.follow({ id: "2", workspace, settings: engine, mayFetch: false });
    rmSync(folder.root, { recursive: true });
    // Unseen: the states below are the question's alone. (So small a memory is read anew with the next question.)
    assert.equal(followed?.encodedTokens, 0);
    const order = ["starting", "ready", "preparing", "reading", "answering", "ready"];
    assert.deepEqual(
      states.filter((state, index) => state !== states[index - 1]),
      order,
    );
    assert.equal(held.at(-1), result.meter.memoryTokens);
    assert.equal(supervisor.memory?.plannedTokens, result.meter.memoryTokens);
  });

  it("that windows share is killed: each says so once, and all are at one new engine again", async () => {
    const home = mkdtempSync(path.join(tmpdir(), "quire-supervisor-"));
    const env = { ...process.env, QUIRE_SHARE: "on", QUIRE_HOME: home, NODE_OPTIONS: "" };
    const program = () => ({ command: process.execPath, args: real, env });
    const windows = [1, 2, 3].map(() => watch(real, { program }));
    try {
      await Promise.all(windows.map(({ supervisor }) => supervisor.request(methods.doctor, {})));
      const first = new Set(windows.map(({ supervisor }) => supervisor.pid));
      assert.equal(first.size, 1, "one engine");
      for (const pid of first) process.kill(pid ?? 0, "SIGKILL");
      await Promise.all(windows.map(({ supervisor }) => reach(supervisor, "stopped")));
      await Promise.all(windows.map(({ supervisor }) => reach(supervisor, "ready")));
      const second = new Set(windows.map(({ supervisor }) => supervisor.pid));
      assert.equal(second.size, 1, "one engine again");
      assert.notDeepEqual(second, first);
      for (const { crashes } of windows) assert.equal(crashes.length, 1);

      // A window that goes takes nothing with it; who ends the engine ends it for all, and that is no crash.
      windows[0]?.supervisor.dispose();
      await windows[1]?.supervisor.request(methods.doctor, {});
      await windows[1]?.supervisor.stopEngine();
      await Promise.all(windows.slice(1).map(({ supervisor }) => reach(supervisor, "stopped")));
      for (const { crashes } of windows) assert.equal(crashes.length, 1);
    } finally {
      for (const { supervisor } of windows) supervisor.dispose();
      rmSync(home, { recursive: true, force: true });
    }
  });

  it("that is restarted while it starts does not stay beside the next one", async () => {
    const { supervisor, lines } = watch(real);
    const early = assert.rejects(supervisor.request(methods.doctor, {}), failure("disposed", /restarted/));
    await supervisor.restart();
    await early;
    assert.equal(supervisor.pid, undefined);
    assert.equal(supervisor.state.state, "stopped");
    assert.equal(lines.filter((line) => line.startsWith("The engine is ready")).length, 0);
  });

  it('that is restarted by its user ends nothing "unexpectedly"', async () => {
    const { supervisor, crashes } = watch(faulty("deaf"), {
      log: {
        debug() {},
        info() {},
        error() {},
        warn: (line) => void (line === "asked for doctor" && supervisor.restart()),
      },
    });
    await assert.rejects(supervisor.request(methods.doctor, {}), failure("disposed", /restarted/));
    assert.deepEqual(crashes, []);
  });

  it("that does not heed a stop is ended", async () => {
    const controller = new AbortController();
    const ignore = (): void => {};
    // Stopped when the process says that it has the request.
    const warn = (line: string): void => void (line === "asked for doctor" && controller.abort());
    const log = { debug: ignore, info: ignore, warn, error: ignore };
    const { supervisor, crashes } = watch(faulty("deaf"), { patience: 50, log });
    const asked = supervisor.request(methods.doctor, {}, controller.signal);
    await assert.rejects(asked, failure("cancelled", /Stopped/));
    assert.equal(supervisor.state.state, "stopped");
    assert.equal(supervisor.pid, undefined);
    assert.deepEqual(crashes, []);
  });

  it("whose device takes nothing more is ended and started again; the user is told once", async () => {
    const { supervisor, crashes } = watch(faulty("device"));
    const asked = supervisor.request(methods.doctor, {});
    await reach(supervisor, "ready");
    const first = supervisor.pid ?? 0;
    await assert.rejects(asked, failure("device-fault", /fell over/));
    await reach(supervisor, "ready");
    assert.notEqual(supervisor.pid, first);
    assert.deepEqual(crashes, ["The GPU fell over."]);
    await assert.rejects(supervisor.request(methods.doctor, {}), failure("device-fault", /fell over/));
    assert.equal(crashes.length, 1);
  });

  it("goes with its keeper", async () => {
    const { supervisor } = watch(real);
    await supervisor.request(methods.doctor, {});
    const pid = supervisor.pid ?? 0;
    await supervisor.restart();
    assert.throws(() => process.kill(pid, 0), /ESRCH/);
    assert.equal(supervisor.state.state, "stopped");
    supervisor.dispose();
    await assert.rejects(supervisor.request(methods.doctor, {}), failure("disposed", /shutting down/));
  });
});
