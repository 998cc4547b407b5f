// about.ts — what a folder of memories says of itself: who wrote it, for which model. A small JSON file for people and for later versions.
//
// In: a folder of one identity. Out: its about.json, written once and never needed to read a memory. A folder that has none was written
// by a Quire before this.

import { randomUUID } from "node:crypto";
import { readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { namesVersion } from "./identity.ts";

export const aboutName = "about.json";

const schema = z.object({
  /** Memory.abi of the addon that wrote it. */
  abi: z.int().nonnegative(),
  /** Version of the files' names. */
  names: z.int().nonnegative(),
  model: z.string().max(4096),
  backend: z.string().max(4096),
});

export type About = z.infer<typeof schema>;

const greeting = "What Quire read of repositories, so that it need not read them again. See `quire memories`.";

/** Writes the file where there is none. Never fails: a memory is as good without it. */
export async function writeAbout(folder: string, about: Omit<About, "names">): Promise<void> {
  const file = path.join(folder, aboutName);
  if ((await stat(file).catch(() => undefined)) !== undefined) return;
  const temporary = `${file}.${randomUUID()}.tmp`;
  const text = `${JSON.stringify({ about: greeting, names: namesVersion, ...about }, undefined, 2)}\n`;
  try {
    await writeFile(temporary, text, { mode: 0o600, flag: "wx" });
    await rename(temporary, file);
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

/** What the folder says of itself; undefined: nothing that can be read. */
export async function readAbout(folder: string): Promise<About | undefined> {
  try {
    const file = path.join(folder, aboutName);
    if ((await stat(file)).size > 65_536) return undefined;
    return schema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return undefined;
  }
}
