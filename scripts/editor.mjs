// editor.mjs — packs the extension, installs it in an editor with a profile of its own, and opens a folder there.
//
//   npm start [-- FOLDER] [--port N] [--code-server]
// VS Code where `code` is on the PATH, and code-server else (or when asked for), which serves the editor on 127.0.0.1 behind a
// password made for this run. Neither touches the user's own VS Code: settings and extensions lie in the cache folder.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { ensureCodeServer } from "./code-server.mjs";
import { cacheFolder, root } from "./layout.mjs";
import { onPath } from "./prerequisites.mjs";
import { run, Stop, step } from "./steps.mjs";
import { ensurePackage } from "./vsix.mjs";

/** The profile's folders; `settings` are written where it has none yet. */
function profile(name, settings) {
  const folder = join(cacheFolder(), "editor", name);
  const [data, extensions] = [join(folder, "data"), join(folder, "extensions")];
  const file = join(data, "User", "settings.json");
  for (const path of [dirname(file), extensions]) mkdirSync(path, { recursive: true });
  if (!existsSync(file)) writeFileSync(file, `${JSON.stringify(settings, null, 2)}\n`);
  return { folder, places: ["--user-data-dir", data, "--extensions-dir", extensions] };
}

/** The environment without what an editor's terminal puts there; with it, a second editor would speak to the first. */
const plainEnvironment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VSCODE_|ELECTRON_|NODE_OPTIONS$)/.test(name)));

async function openCode(code, vsix, folder) {
  const { places } = profile("code", {});
  const env = plainEnvironment();
  // On Windows `code` is a script, which needs a shell; every argument is then quoted by us.
  const call = process.platform === "win32" ? { command: `"${code}"`, shell: true } : { command: code, shell: false };
  const quoted = (args) => (call.shell ? args.map((arg) => `"${arg}"`) : args);
  await step("installing the extension in VS Code", () =>
    run(call.command, quoted([...places, "--install-extension", vsix, "--force"]), { env, shell: call.shell }),
  );
  const args = quoted([...places, "--new-window", folder]);
  spawn(call.command, args, { env, shell: call.shell, detached: true, stdio: "ignore" }).unref();
  process.stdout.write(`VS Code opens ${folder} with Quire. Ask with the command "Quire: Ask About This Workspace".\n`);
}

const freePort = () =>
  new Promise((give, fail) => {
    const server = createServer().on("error", fail);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => give(port));
    });
  });

/** Resolves when the server answers; rejects when it has ended before. */
async function answering(address, ended) {
  for (;;) {
    const answer = await Promise.race([fetch(`${address}/healthz`).catch(() => undefined), ended]);
    if (answer?.ok) return;
    await new Promise((next) => setTimeout(next, 100));
  }
}

async function serve(vsix, folder, wantedPort) {
  const { node, entry } = await ensureCodeServer();
  const { folder: own, places } = profile("code-server", {
    "workbench.startupEditor": "none",
    "telemetry.telemetryLevel": "off",
    // Its own chat would have the cursor, in a question box that no service answers.
    "chat.disableAIFeatures": true,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
  });
  const config = join(own, "config.yaml");
  writeFileSync(config, "");
  const password = randomBytes(9).toString("base64url");
  const env = { ...plainEnvironment(), PASSWORD: password, EXTENSIONS_GALLERY: '{"serviceUrl":""}' };
  const base = [entry, "--config", config, ...places];
  await step("installing the extension in code-server", () =>
    run(node, [...base, "--install-extension", vsix, "--force"], { env }),
  );
  const port = wantedPort ?? (await freePort());
  const options = ["--bind-addr", `127.0.0.1:${port}`, "--auth", "password", "--disable-telemetry"];
  const more = ["--disable-update-check", "--disable-getting-started-override", "--ignore-last-opened"];
  const child = spawn(node, [...base, ...options, ...more], { env, stdio: ["ignore", "ignore", "pipe"] });
  // It looks for a part of Microsoft's that it does not carry, with every window.
  createInterface({ input: child.stderr }).on("line", (line) => {
    if (!line.includes("/vsda/")) process.stderr.write(`${line}\n`);
  });
  const ended = new Promise((_, fail) => {
    child.on("error", fail);
    child.on("close", (status) => fail(new Stop(`code-server ended (${status ?? "by a signal"})`)));
  });
  // Ctrl-C and a polite end reach the server too; its end is then ours, and no failure.
  for (const signal of ["SIGINT", "SIGTERM"])
    process.on(signal, () => {
      ended.catch(() => process.exit(0));
      child.kill("SIGTERM");
    });
  const address = `http://127.0.0.1:${port}`;
  await answering(address, ended);
  process.stdout.write(
    `\nQuire is open at  ${address}/?folder=${encodeURIComponent(folder)}\npassword          ${password}\n\n` +
      `Ask with F1, "Quire: Ask About This Workspace". Ctrl-C here ends it.\n`,
  );
  await ended;
}

export async function main(args) {
  let parsed;
  try {
    const options = { port: { type: "string" }, "code-server": { type: "boolean" } };
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new Stop(`${error.message}\nusage: npm start [-- FOLDER] [--port N] [--code-server]`);
  }
  const folder = resolve(parsed.positionals[0] ?? root);
  if (!existsSync(folder)) throw new Stop(`there is no folder ${folder}`);
  const port = parsed.values.port === undefined ? undefined : Number(parsed.values.port);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65536)) throw new Stop("--port is a number");
  const vsix = await ensurePackage();
  const code = onPath(["code"]);
  if (code !== undefined && !parsed.values["code-server"]) await openCode(code, vsix, folder);
  else await serve(vsix, folder, port);
}
