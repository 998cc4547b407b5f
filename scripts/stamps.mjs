// stamps.mjs — "is it up to date?": a hash of what a step reads, kept in a file beside what it made.
//
// Contents, not times: a checkout, a copy or a touched file does not build anything again.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Paths of all files under a folder, sorted; empty when there is no such folder. */
export function filesUnder(folder) {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
  return entries
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return entry.name === "node_modules" ? [] : filesUnder(path);
      return entry.isFile() ? [path] : [];
    })
    .sort();
}

/** One hash over the given words, and the names and contents of the files. A file that is gone counts as absent. */
export function hashOf(files, words = []) {
  const hash = createHash("sha256");
  for (const word of words) hash.update(`${word}\0`);
  for (const file of files) {
    hash.update(`${file}\0`);
    try {
      hash.update(createHash("sha256").update(readFileSync(file)).digest());
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  return hash.digest("hex");
}

/** The stamp's text, or undefined. */
export function readStamp(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Writes a file in one go: a reader sees the old text or the new one. */
export function writeStamp(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, path);
}

/** Removes the stamp before its step begins, so that a step cut off is done again. */
export function dropStamp(path) {
  rmSync(path, { force: true });
}
