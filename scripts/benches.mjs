// benches.mjs — runs one bench by name, with its options; a bench prints JSON lines on standard output under --json.
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./layout.mjs";
import { makeReady } from "./ready.mjs";
import { Stop } from "./steps.mjs";

const folder = join(root, "test", "bench");

const names = () =>
  existsSync(folder)
    ? readdirSync(folder).flatMap((name) => (/^[^.]+\.ts$/.test(name) ? [name.slice(0, -3)] : []))
    : [];

export async function main([name, ...args]) {
  if (name === undefined || !names().includes(name))
    throw new Stop(`which bench? npm run bench -- <${names().join(" | ")}>`);
  await makeReady();
  process.on("SIGINT", () => {}); // the bench gets it too, and decides
  const child = spawn(process.execPath, ["--import", "tsx", join(folder, `${name}.ts`), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  process.exitCode = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve(status ?? 1));
  });
}
