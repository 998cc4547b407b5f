// web.test.ts — a model's server asked through the proxy of the environment: a real one that tunnels, on this machine.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { askWeb, type WebAnswer } from "../../../engine/models/web.ts";

describe("asking the web", () => {
  const servers: Server[] = [];
  let asked: string[] = [];

  const listen = async (server: Server): Promise<string> => {
    servers.push(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const files = (): Promise<string> =>
    listen(createServer(({ headers }, response) => response.writeHead(206).end(`bytes ${headers.range}`)));

  /** Tunnels, and writes down what to; refuses without the user that it wants. */
  const proxy = (user?: string): Promise<string> =>
    listen(
      createServer().on("connect", ({ url = "", headers }, socket) => {
        asked.push(url);
        const wanted = user === undefined ? undefined : `Basic ${Buffer.from(user).toString("base64")}`;
        if (wanted !== undefined && headers["proxy-authorization"] !== wanted) {
          socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
          return;
        }
        const [host, port] = url.split(":");
        const far = connect(Number(port), host, () => socket.write("HTTP/1.1 200 Connection Established\r\n\r\n"));
        far.on("error", () => socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
        far.pipe(socket).pipe(far);
      }),
    );

  const ask = (url: string, env: Record<string, string>): Promise<WebAnswer> =>
    askWeb(url, { headers: { range: "bytes=3-" }, signal: AbortSignal.timeout(10_000) }, env);
  const text = async ({ body }: WebAnswer): Promise<string> => {
    let all = "";
    for await (const chunk of body ?? []) all += Buffer.from(chunk).toString();
    return all;
  };

  beforeEach(() => {
    asked = [];
  });
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  it("goes straight where no proxy is set", async () => {
    const answer = await ask(`http://${await files()}/m.gguf`, { HTTPS_PROXY: "" });
    assert.deepEqual([answer.status, await text(answer)], [206, "bytes bytes=3-"]);
  });

  for (const name of ["HTTP_PROXY", "http_proxy"]) {
    it(`goes through the proxy of ${name}, with its headers; the scheme may be left out`, async () => {
      const host = await files();
      for (const before of ["http://", ""]) {
        const answer = await ask(`http://${host}/m.gguf`, { [name]: before + (await proxy()) });
        assert.deepEqual([answer.status, await text(answer)], [206, "bytes bytes=3-"]);
      }
      assert.deepEqual(asked, [host, host]);
    });
  }

  it("leaves to the proxy of HTTPS_PROXY what a name means", async () => {
    await assert.rejects(ask("https://models.invalid/m.gguf", { HTTPS_PROXY: await proxy() }), {
      message: "the proxy answers 502",
    });
    assert.deepEqual(asked, ["models.invalid:443"]);
  });

  it("goes straight to what NO_PROXY names", async () => {
    const env = { HTTP_PROXY: await proxy(), NO_PROXY: "example.org,127.0.0.1" };
    assert.equal((await ask(`http://${await files()}/m.gguf`, env)).status, 206);
    assert.deepEqual(asked, []);
  });

  it("tells the proxy who asks, and says what it answers to somebody else", async () => {
    const host = await proxy("me:secret");
    const url = `http://${await files()}/m.gguf`;
    assert.equal((await ask(url, { HTTP_PROXY: `http://me:secret@${host}` })).status, 206);
    await assert.rejects(ask(url, { HTTP_PROXY: host }), { message: "the proxy answers 407", nextStep: /password/ });
  });

  it("says that a proxy's address is none, and never what it holds", async () => {
    for (const address of ["http://me:secret@", "http://[", "://", "ftp://me:secret@127.0.0.1:1"])
      await assert.rejects(ask("https://models.invalid/m.gguf", { HTTPS_PROXY: address }), {
        message: "HTTPS_PROXY or HTTP_PROXY is no address of a proxy",
      });
  });
});
