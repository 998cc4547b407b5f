// ensure-peer.ts — the peer of tests and benches: node-llama-cpp, installed outside the checkout on first use.
//
// In: nothing, or QUIRE_CACHE (a folder). Out: the folder that holds it. Only the package and the CPU binary of this platform are
// fetched, by npm, and no install script runs: nothing is built and nothing comes from anywhere but the registry.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

export const peerVersion = "3.22.1";

const binaries: Record<string, string> = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "darwin-arm64": "mac-arm64-metal",
  "darwin-x64": "mac-x64",
  "win32-x64": "win-x64",
  "win32-arm64": "win-arm64",
};

async function installed(folder: string, name: string): Promise<boolean> {
  const path = join(folder, "node_modules", name, "package.json");
  if (!existsSync(path)) return false;
  return z.object({ version: z.string() }).parse(JSON.parse(await readFile(path, "utf8"))).version === peerVersion;
}

/** Installs the peer unless it is there, and returns its folder. Throws with npm's words when it cannot. */
export async function ensurePeer(
  log: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<string> {
  const folder = join(process.env.QUIRE_CACHE ?? join(homedir(), ".cache", "quire"), "peer");
  const platform = `${process.platform}-${process.arch}`;
  const binary = binaries[platform];
  if (binary === undefined) throw new Error(`node-llama-cpp has no binary for ${platform}.`);
  const names = ["node-llama-cpp", `@node-llama-cpp/${binary}`];
  if ((await Promise.all(names.map((name) => installed(folder, name)))).every((there) => there)) return folder;
  log(`Installing the peer, node-llama-cpp ${peerVersion}, with npm …`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), `${JSON.stringify({ name: "quire-peer", private: true })}\n`);
  await npm(
    [
      ...names.map((name) => `${name}@${peerVersion}`),
      "--omit=optional",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
    ],
    folder,
  );
  return folder;
}

function npm(args: string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("npm", ["install", ...args], {
      cwd,
      shell: process.platform === "win32",
      env: { ...process.env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: "true" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`npm install failed (${code}): ${output.trim()}`)),
    );
  });
}
