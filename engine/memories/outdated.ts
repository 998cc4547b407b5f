// outdated.ts — memories that an earlier version of Quire kept and this one cannot use: recognised, removed, and said in a sentence.
//
// In: the folder of all memories and the addon's ABI. Out: what to tell the user. What a later version wrote stays: it may be in use
// there. Whatever cannot be recognised is left to the cap, unless a version that did not describe its folders wrote it.

import { rm, stat } from "node:fs/promises";
import { bytesText, counted } from "../../words/figures.ts";
import { aboutName, readAbout } from "./about.ts";
import { foldersIn, type IdentityFolder } from "./folders.ts";
import { namesVersion } from "./identity.ts";
import { readManifest } from "./manifest.ts";

/** A folder without a description that is younger may be about to get one. */
const newMs = 3_600_000;

/**
 * Removes the folders that only an earlier version could read. Resolves with a sentence about it, or undefined where there was nothing.
 * Never fails: what cannot be removed is left to the cap.
 * @param abi Memory.abi of the addon
 */
export async function removeOutdated(folder: string, abi: number, now = Date.now()): Promise<string | undefined> {
  let bytes = 0;
  const workspaces = new Set<string>();
  let removed = 0;
  for (const stored of await foldersIn(folder)) {
    if (!(await isOutdated(stored, abi, now))) continue;
    for (const workspace of await workspacesOf(stored)) workspaces.add(workspace);
    const freed = stored.files.reduce((sum, file) => sum + file.bytes, 0);
    const done = await rm(stored.folder, { recursive: true, force: true }).then(
      () => true,
      () => false,
    );
    if (!done) continue;
    removed++;
    bytes += freed;
  }
  if (removed === 0 || bytes === 0) return undefined;
  const of = workspaces.size === 0 ? "" : ` of ${counted(workspaces.size, "workspace")}`;
  return (
    `This version of Quire computes memory differently than the one before: ${bytesText(bytes)}${of} that it had kept ` +
    "cannot be used any more and were removed. Each repository is read again with its next question."
  );
}

async function isOutdated(stored: IdentityFolder, abi: number, now: number): Promise<boolean> {
  const about = await readAbout(stored.folder);
  if (about !== undefined) return about.abi < abi || about.names < namesVersion;
  if (stored.files.some(({ name }) => name === aboutName)) return false; // written by we know not whom
  const made = (await stat(stored.folder).catch(() => undefined))?.mtimeMs ?? now;
  return now - Math.max(made, ...stored.files.map(({ usedMs }) => usedMs)) > newMs;
}

async function workspacesOf({ folder, files }: IdentityFolder): Promise<string[]> {
  const manifests = files.filter(({ kind }) => kind === "manifest");
  const read = await Promise.all(manifests.map(({ name }) => readManifest(`${folder}/${name}`)));
  return read.flatMap((manifest) => (manifest === undefined ? [] : [JSON.stringify(manifest.workspace)]));
}
