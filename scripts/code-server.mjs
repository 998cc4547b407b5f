// code-server.mjs — VS Code as a server, installed from npm into the cache folder, for machines without a VS Code: `npm start`
// shows it, the end-to-end tests drive it.
//
// code-server runs on a Node of its own (24, from the npm package `node`), which also compiles its addons: a minute or two the
// first time. Nothing is written outside the cache folder but, as root on Debian, the package libkrb5-dev that one addon needs.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { howToGet } from "./how-to-get.mjs";
import { cacheFolder } from "./layout.mjs";
import { withLock } from "./lock.mjs";
import { runNpm } from "./npm.mjs";
import { onPath } from "./prerequisites.mjs";
import { run, Stop, step } from "./steps.mjs";

const nodeVersion = "24.21.0";
const serverVersion = "4.139.1";

const folder = () => join(cacheFolder(), "e2e");
const nodeFolder = () => join(folder(), `node-${nodeVersion}`);
const serverFolder = () => join(folder(), `code-server-${serverVersion}`);

/** Where the server and its Node are, or will be: `<node> <entry> [options]` is code-server's command line. */
export const codeServer = () => ({
  node: join(nodeFolder(), "node_modules", "node", "bin", "node"),
  entry: join(serverFolder(), "node_modules", "code-server", "out", "node", "entry.js"),
});

export function codeServerReady() {
  const { node, entry } = codeServer();
  return existsSync(node) && existsSync(entry);
}

/** The addon `kerberos` of code-server compiles against the system's library. */
async function ensureKerberos() {
  if (process.platform !== "linux" || onPath(["krb5-config"]) !== undefined) return;
  const apt = onPath(["apt-get"]);
  if (process.getuid?.() !== 0 || apt === undefined)
    throw new Stop(`code-server needs the headers of Kerberos:\n  ${howToGet("kerberos")}`);
  await step("installing libkrb5-dev", async () => {
    const options = { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
    const install = () => run(apt, ["install", "-y", "--no-install-recommends", "libkrb5-dev"], options);
    await install().catch(async () => {
      await run(apt, ["update"], options);
      await install();
    });
  });
}

/** Runs npm in a folder of its own that is then renamed, so that an install cut off leaves nothing that looks whole. */
async function install(target, spec, options) {
  const draft = mkdtempSync(join(folder(), "draft-"));
  try {
    await runNpm(["install", "--prefix", draft, spec], { cwd: draft, ...options });
    rmSync(target, { recursive: true, force: true });
    renameSync(draft, target);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Node's headers came with its binary; without them node-gyp would look for them on the network. */
function nodeHeaders() {
  const name = `node-${process.platform}-${process.arch}`;
  const modules = join(nodeFolder(), "node_modules");
  const found = [join(modules, "node", "node_modules", name), join(modules, name)].find((path) =>
    existsSync(join(path, "include", "node", "node_version.h")),
  );
  if (found === undefined) throw new Stop(`the npm package node@${nodeVersion} has no headers for ${name}`);
  return found;
}

/** Installs what is missing and returns codeServer(). */
export async function ensureCodeServer() {
  if (codeServerReady()) return codeServer();
  if (process.platform === "win32")
    throw new Stop("code-server does not run on Windows: install VS Code, with `code` on the PATH");
  mkdirSync(folder(), { recursive: true });
  await withLock(
    folder(),
    async () => {
      const { node, entry } = codeServer();
      if (!existsSync(node))
        await step(`installing Node ${nodeVersion} for code-server`, () =>
          install(nodeFolder(), `node@${nodeVersion}`, {}),
        );
      if (existsSync(entry)) return;
      await ensureKerberos();
      const env = {
        ...process.env,
        PATH: [dirname(node), process.env.PATH].join(delimiter),
        npm_config_nodedir: nodeHeaders(),
      };
      await step(`installing code-server ${serverVersion} (a minute or two)`, () =>
        install(serverFolder(), `code-server@${serverVersion}`, { env, node }),
      );
    },
    (owner) => process.stderr.write(`quire: waiting for process ${owner}, which is installing code-server\n`),
  );
  return codeServer();
}
