// sharing.test.ts — several clients of one engine: what they share, what none of them sees of another, and what the end of one, or of
// the engine, does to the rest.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { methods } from "../../../engine/protocol.ts";
import { reachShared } from "../../../engine/share/reach.ts";
import { isAlive, Place, sourceText } from "../cli/quire.ts";
import { askOf, engineFile, failureOf, SharedClient } from "../engine-process.ts";

const off = { QUIRE_MEMORY: "off" };

describe("an engine that clients share", function () {
  this.timeout(300_000);
  const place = new Place();
  const clients: SharedClient[] = [];
  let one = "";
  let two = "";

  before(async () => {
    await place.prepare();
    one = place.workspace("one", { "a.js": sourceText(1, 2) });
    two = place.workspace("two", { "b.js": sourceText(2, 2) });
  });
  afterEach(async () => {
    const pids = new Set(clients.map(({ info }) => info.pid));
    for (const client of clients.splice(0)) await client.leave();
    for (const pid of pids) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  });
  after(() => place.dispose());

  async function reach(env: Record<string, string> = off, keepMinutes = 5): Promise<SharedClient> {
    const client = await SharedClient.reach(place.home, env, keepMinutes);
    clients.push(client);
    return client;
  }

  /** Resolves when the process is gone. */
  async function gone(pid: number): Promise<void> {
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
  }

  it("is one for those that start at once; one workspace is read once, and two share the model", async () => {
    const [a, b] = await Promise.all([reach(), reach()]);
    assert.equal(a.info.pid, b.info.pid);
    const question = "What does add1Entry1 return?";
    const first = await a.ask(askOf(one, question, { maxTokens: 4 })).result;
    const same = await b.ask(askOf(one, question, { maxTokens: 4 })).result;
    assert.equal(first.stats.reusedTokens, 0);
    assert.equal(same.stats.reusedTokens + same.stats.prefilledTokens, first.stats.prefilledTokens);
    assert.ok(same.stats.prefilledTokens <= 1, `${same.stats.prefilledTokens} tokens read again`);
    assert.equal(same.answer, first.answer);

    const other = await b.ask(askOf(two, "What does add2Entry1 return?", { maxTokens: 4 })).result;
    assert.deepEqual(
      other.documents.map((row) => row.path).filter((name) => name.endsWith(".js")),
      ["b.js"],
      "nothing of the other workspace",
    );
    assert.equal(other.stats.reusedTokens, 0);
    const status = await a.status();
    assert.deepEqual(status.memories.map(({ roots }) => roots).sort(), [[one], [two]]);
    assert.equal(status.models.length, 1);
    assert.equal(status.clients.length, 2);
    // Each goes on where it was.
    const again = await a.ask(askOf(one, question, { maxTokens: 4 })).result;
    assert.ok(again.stats.prefilledTokens <= 1, "the other workspace took nothing away");
    assert.equal(again.answer, first.answer);
    // Events are of who asked.
    assert.ok(a.events.every(({ params }) => params.id === undefined || params.id === "1"));
    assert.ok(!JSON.stringify(a.events).includes("add2Entry"), "nothing of another client's answer");
  });

  it("shows a client's unsaved text to no other", async () => {
    const [a, b] = await Promise.all([reach(), reach()]);
    const secret = "export const passphrase = 'correct horse battery';\n";
    const unsaved = [{ path: path.join(one, "a.js"), text: secret + sourceText(1, 1) }];
    const params = askOf(one, "What is passphrase?", { maxTokens: 8 });
    const workspace = { ...params.workspace, unsaved };
    await a.ask({ ...params, workspace }).result;
    const result = await b.ask(params).result;
    assert.ok(!JSON.stringify([result.lookedUp, result.citations, result.preface, b.events]).includes("correct horse"));
    const fresh = await b.ask({ ...params, fresh: true }).result;
    assert.equal(result.meter.memoryTokens, fresh.meter.memoryTokens, "it holds what is on disk");
  });

  it("lets a question of another client wait visibly, stops each within 300 ms, and loses only the questions of who goes", async () => {
    const [a, b, c] = await Promise.all([reach(), reach(), reach()]);
    const long = a.ask(askOf(one, "What does add1Entry1 return?", { id: "long", maxTokens: 400 }));
    await a.seen(({ method }) => method === "text");
    const lost = b.ask(askOf(one, "And?", { id: "lost" }));
    lost.result.catch(() => {});
    const waits = await b.seen(({ params }) => params.stage === "waiting");
    assert.equal(waits.params.ahead, 1);
    const third = c.ask(askOf(one, "Then?", { id: "third", maxTokens: 2 }));
    await c.seen(({ params }) => params.stage === "waiting" && params.ahead === 2);
    const given = c.ask(askOf(one, "No.", { id: "given" }));
    await c.seen(({ params }) => params.id === "given" && params.ahead === 3);
    const asked = performance.now();
    given.stop();
    assert.equal((await failureOf(given)).code, "cancelled");
    assert.ok(performance.now() - asked < 300, `${performance.now() - asked} ms`);

    b.link.cut(); // as if it were killed
    await c.seen(({ params }) => params.id === "third" && params.ahead === 1);
    const stopping = performance.now();
    long.stop();
    assert.equal((await long.result).stop, "cancelled");
    assert.ok(performance.now() - stopping < 300, `${performance.now() - stopping} ms`);
    assert.equal((await third.result).stop, "length");
    assert.equal((await a.status()).clients.length, 2);
  });

  it("that is killed ends for all; they come together again at one new engine", async () => {
    const [a, b] = await Promise.all([reach(), reach()]);
    const { pid } = a.info;
    const running = b.request(methods.fetchModel, { name: "no such" });
    await assert.rejects(running);
    process.kill(pid, "SIGKILL");
    for (const client of [a, b]) assert.match(await client.link.ended, /The engine ended unexpectedly/);
    const [c, d] = await Promise.all([reach(), reach()]);
    assert.equal(c.info.pid, d.info.pid);
    assert.notEqual(c.info.pid, pid);
    await c.request(methods.doctor, {});
  });

  it("leaves when its last client has gone for as long as that one wished, and at once where it holds nothing", async () => {
    const a = await reach(off, 0);
    const b = await reach(off, 0);
    await a.ask(askOf(one, "What?", { maxTokens: 1 })).result;
    await a.leave();
    assert.equal((await b.status()).clients.length, 1, "one is left");
    await b.leave();
    await gone(a.info.pid);
    const c = await reach(off, 5);
    await c.leave();
    await gone(c.info.pid);
  });

  it("stays for who comes back", async () => {
    const a = await reach();
    await a.ask(askOf(one, "What?", { maxTokens: 1 })).result;
    await a.leave();
    const b = await reach();
    assert.equal(b.info.pid, a.info.pid);
    assert.deepEqual(
      (await b.status()).memories.map(({ roots }) => roots),
      [[one]],
    );
  });

  it("can be stopped, and tells all its clients first", async () => {
    const [a, b] = await Promise.all([reach(), reach()]);
    await a.request(methods.stop, {});
    const { params } = await b.seen(({ method }) => method === "leaving");
    assert.match(String(params.message), /stopped by test/);
    await Promise.all([a.link.ended, b.link.ended]);
    await gone(a.info.pid);
  });

  it("is another for who has another cap, and the log says so", async () => {
    const a = await reach();
    const b = await reach({ ...off, QUIRE_MEMORY_GB: "1" });
    assert.notEqual(a.info.pid, b.info.pid);
    assert.match(b.lines.join(" "), /another version or with other settings/);
  });

  it("sends away who sends too much or does not greet, and serves the others", async () => {
    const [a, b] = await Promise.all([reach(), reach()]);
    b.link.output.write(`Content-Length: ${2 ** 31}\r\n\r\n`);
    const { params } = await b.seen(({ method }) => method === "leaving");
    assert.match(String(params.message), /did not take what was sent: a message of 2147483648 bytes/);
    await b.link.ended;
    await a.request(methods.doctor, {});
    assert.equal((await a.status()).clients.length, 1);
    const lines: string[] = [];
    const env = { ...process.env, NODE_OPTIONS: "", QUIRE_HOME: place.home, ...off };
    const link = await reachShared({ command: process.execPath, args: [engineFile], env }, (line) => lines.push(line));
    assert.ok(link !== undefined);
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: methods.status, params: {} });
    link.output.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    let reply = "";
    for await (const piece of link.input) {
      reply += piece;
      if (reply.endsWith("}")) break;
    }
    assert.match(reply, /The first request is initialize/);
    link.cut();
  });

  it("cannot be shared where there can be no socket: that is said, and the client has an engine of its own", async () => {
    const file = path.join(place.folder, "no-folder");
    writeFileSync(file, "");
    const env = { ...process.env, QUIRE_HOME: place.home, QUIRE_RUN_FOLDER: file };
    const lines: string[] = [];
    const link = await reachShared({ command: process.execPath, args: [engineFile], env }, (line) => lines.push(line));
    assert.equal(link, undefined);
    assert.match(lines.join(" "), /cannot be shared here .*has one of its own/);
  });

  it("that does not start says why", async () => {
    const broken = path.join(place.folder, "broken.cjs");
    writeFileSync(broken, 'throw new Error("the addon is missing");\n');
    const env = { ...process.env, NODE_OPTIONS: "", QUIRE_HOME: place.home };
    const reached = reachShared({ command: process.execPath, args: [broken], env }, () => {});
    await assert.rejects(reached, /ended unexpectedly \(status 1\): Error: the addon is missing/);
  });
});
