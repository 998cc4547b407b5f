// listen.test.ts — the socket as a lock: one engine at an address, however many start at once and however the one before it ended.

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Address, addressOf, numbersOf, runFolder } from "../../../engine/share/address.ts";
import { connectTo } from "../../../engine/share/connect.ts";
import { listenAt } from "../../../engine/share/listen.ts";
import { engineFile } from "../engine-process.ts";

describe("an engine's address", function () {
  this.timeout(60_000);
  let address: Address;
  const servers: Server[] = [];
  const children: ChildProcess[] = [];

  before(function () {
    // Named pipes need no file and leave none: nothing of this is so there.
    if (process.platform === "win32") this.skip();
  });
  beforeEach(() => {
    address = { folder: mkdtempSync(path.join(tmpdir(), "quire-run-")), key: "0123456789abcdef" };
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    for (const child of children.splice(0)) child.kill("SIGKILL");
    rmSync(address.folder, { recursive: true, force: true });
  });

  async function take(): Promise<Server | undefined> {
    const server = await listenAt(address);
    if (server !== undefined) servers.push(server);
    return server;
  }

  it("is had by one of many that start at once, and only the user may come in", async () => {
    const taken = await Promise.all(Array.from({ length: 12 }, take));
    assert.equal(taken.filter((server) => server !== undefined).length, 1);
    const [number, ...others] = await numbersOf(address);
    assert.deepEqual(others, []);
    assert.equal(statSync(path.join(address.folder, `${address.key}.${number}`)).mode & 0o777, 0o600);
  });

  /** An engine at the address; resolves with what it says of its start. */
  function startEngine(): Promise<{ child: ChildProcess; started: boolean }> {
    const child = spawn(process.execPath, [engineFile, "--share", address.folder, address.key], {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    children.push(child);
    return new Promise((resolve, reject) => {
      child.once("message", (word) => resolve({ child, started: (word as { started: boolean }).started }));
      child.once("exit", () => reject(new Error("it ended and said nothing")));
    });
  }

  it("is free again when its owner is killed, and had by one of several processes each time", async () => {
    for (let round = 0; round < 3; round++) {
      const all = await Promise.all(Array.from({ length: 4 }, startEngine));
      const [engine, ...more] = all.filter(({ started }) => started);
      assert.equal(more.length, 0, `one engine in round ${round}`);
      assert.ok(engine !== undefined);
      const socket = await connectTo(address);
      assert.ok(socket !== undefined, "it is reached");
      socket.destroy();
      const ended = new Promise((resolve) => engine.child.once("exit", resolve));
      engine.child.kill("SIGKILL");
      await ended;
      assert.equal(await connectTo(address), undefined, "a dead engine's socket is no engine");
    }
    assert.equal(readdirSync(address.folder).length, 1, "what dead engines left is removed");
  });

  it("is not had by one that was overtaken while it started", async () => {
    const first = await take();
    assert.ok(first !== undefined);
    // As if it had looked before the first one came, and bound after it was gone: its number is lower.
    const file = path.join(address.folder, `${address.key}.7`);
    const dying =
      "require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
    spawnSync(process.execPath, ["-e", dying, file], { env: { ...process.env, NODE_OPTIONS: "" } });
    await new Promise((resolve) => first.close(resolve));
    const next = await take();
    assert.ok(next !== undefined);
    assert.deepEqual(await numbersOf(address), [8]);
  });

  it("is refused in a folder of others, and mended in one's own", async () => {
    chmodSync(address.folder, 0o777);
    assert.equal(await runFolder({ QUIRE_HOME: "/nowhere", QUIRE_RUN_FOLDER: address.folder }), address.folder);
    assert.equal(statSync(address.folder).mode & 0o777, 0o700);
    const file = path.join(address.folder, "file");
    writeFileSync(file, "");
    await assert.rejects(runFolder({ QUIRE_HOME: "/nowhere", QUIRE_RUN_FOLDER: file }));
    writeFileSync(path.join(address.folder, `${address.key}.1`), "no socket");
    await assert.rejects(connectTo(address), /not a socket of this user/);
  });

  it("is the same for all clients of one engine, and another where anything differs that an engine has only once", async () => {
    const home = address.folder;
    const key = async (env: Record<string, string>): Promise<string> =>
      (await addressOf(engineFile, { QUIRE_HOME: home, ...env })).key;
    const usual = await key({});
    for (const env of [{ QUIRE_MEMORY_GB: "10" }, { QUIRE_KEEP_MINUTES: "1" }, { PATH: "/x" }, { QUIRE_MEMORY: "" }]) {
      assert.equal(await key(env), usual, JSON.stringify(env));
    }
    for (const env of [{ QUIRE_MEMORY_GB: "1" }, { QUIRE_MEMORY: "off" }, { QUIRE_MEMORY_FOLDER: home }]) {
      assert.notEqual(await key(env), usual, JSON.stringify(env));
    }
    const other = path.join(home, "engine.cjs");
    writeFileSync(other, "// another build\n");
    assert.notEqual((await addressOf(other, { QUIRE_HOME: home })).key, usual);
  });

  it("has a shorter folder where the usual one is too long for a socket", async () => {
    const long = path.join(address.folder, "x".repeat(90));
    const folder = await runFolder({ QUIRE_HOME: long });
    assert.ok(folder.length < 60, folder);
    assert.equal(folder, await runFolder({ QUIRE_HOME: long }));
    rmSync(folder, { recursive: true });
  });
});
