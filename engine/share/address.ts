// address.ts — where the engine that a user's windows and terminals share is to be found: sockets in a folder that only the user may enter.
//
// In: the engine's program and environment. Out: a key that covers all that one engine must have in common with another (build, protocol,
// folders, caps), and the sockets of that key. Sockets are numbered, and their numbers only rise: the highest is the engine, whatever
// lies below it is left of one that is gone (listen.ts). So no file has to be trusted to say who is alive.

import { createHash, randomBytes } from "node:crypto";
import { lstat, readdir, readFile, writeFile } from "node:fs/promises";
import { homedir, hostname, tmpdir, userInfo } from "node:os";
import path from "node:path";
import { ensureFolder, memoriesFolder, quireHome } from "../paths.ts";
import { protocolVersion } from "../protocol.ts";

export interface Address {
  /** Holds the sockets; only its user may enter it. */
  folder: string;
  /** 16 hex digits. */
  key: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Only the client's: an engine is the same with or without them. */
const ofClients = new Set(["QUIRE_ENGINE", "QUIRE_SHARE", "QUIRE_RUN_FOLDER", "QUIRE_KEEP_MINUTES", "QUIRE_HOME"]);
/** The same as not given. */
const usual: Env = { QUIRE_MEMORY: "on", QUIRE_MEMORY_GB: "10" };
/** Of a socket's path, in bytes: macOS has 104 with the closing zero, Linux 108. */
const longestPath = 103;

/** Windows has named pipes of one name for all users instead of files. */
const pipes = process.platform === "win32";

/** The environment with paths that mean the same wherever the engine runs. */
export function absoluteEnv<Given extends Env>(env: Given): Given {
  const given = ["QUIRE_ADDON", "QUIRE_CUDA_ADDON"].flatMap((name) => (env[name] ? [[name, env[name]]] : []));
  return { ...env, ...Object.fromEntries(given.map(([name = "", file = ""]) => [name, path.resolve(file)])) };
}

/** The address of the engine that this program would be. Throws where its files cannot be read or the folder is not the user's alone. */
export async function addressOf(program: string, env: Env): Promise<Address> {
  const home = quireHome({ env, platform: process.platform, home: homedir() });
  const others = Object.entries(absoluteEnv(env))
    .filter(([name, value]) => name.startsWith("QUIRE_") && !ofClients.has(name) && value && value !== usual[name])
    .sort();
  const build = [program, path.resolve(path.dirname(program), "..", "build", "Release", "quire.node")];
  const facts = [
    protocolVersion,
    hostname(), // a home on a shared disk
    home,
    memoriesFolder({ ...env, QUIRE_HOME: home }),
    others,
    ...(await Promise.all(build.map(hashOfFile))),
  ];
  const key = createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 16);
  return { folder: await runFolder(env), key };
}

/** The folder of the sockets, made if need be. Throws where it is not the user's alone. */
export async function runFolder(env: Env): Promise<string> {
  const home = quireHome({ env, platform: process.platform, home: homedir() });
  const given = env.QUIRE_RUN_FOLDER;
  let folder = given !== undefined && path.isAbsolute(given) ? given : path.join(home, "run");
  if (!pipes && Buffer.byteLength(path.join(folder, "0123456789abcdef.123456")) > longestPath) {
    const short = createHash("sha256").update(folder).digest("hex").slice(0, 12);
    folder = path.join(tmpdir(), `quire-${userInfo().uid}-${short}`);
  }
  await ensureFolder(folder);
  const found = await lstat(folder);
  const others = !pipes && ((found.mode & 0o077) !== 0 || found.uid !== process.getuid?.());
  if (others || !found.isDirectory()) throw new Error(`${folder} is not a folder of its user alone`);
  return folder;
}

/** Numbers of this key's sockets, highest first. */
export async function numbersOf({ folder, key }: Address): Promise<number[]> {
  if (pipes) return [1];
  const names = await readdir(folder);
  return names
    .flatMap((name) => (name.startsWith(`${key}.`) && /\.\d{1,9}$/.test(name) ? [Number(name.slice(17))] : []))
    .sort((a, b) => b - a);
}

/** Keys of which there are sockets, dead ones too. */
export async function keysIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return [...new Set(names.flatMap((name) => /^([0-9a-f]{16})\.(?:\d{1,9}|pipe)$/.exec(name)?.[1] ?? []))];
}

/** What to connect to, or to bind. */
export async function socketOf(address: Address, number: number): Promise<string> {
  const { folder, key } = address;
  if (!pipes) return path.join(folder, `${key}.${number}`);
  // Whoever knows a pipe's name may take it first: it holds what only this user can read.
  const file = path.join(folder, `${key}.pipe`);
  await writeFile(file, randomBytes(16).toString("hex"), { flag: "wx", mode: 0o600 }).catch(() => undefined);
  return `\\\\.\\pipe\\quire-${key}-${(await readFile(file, "utf8")).trim()}`;
}

/** Where the engine of a key prints what it has no client for. */
export const logOf = ({ folder, key }: Address): string => path.join(folder, `${key}.log`);

async function hashOfFile(file: string): Promise<string> {
  const bytes = await readFile(file).catch(() => undefined);
  return bytes === undefined ? "" : createHash("sha256").update(bytes).digest("hex");
}
