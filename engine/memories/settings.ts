// settings.ts — whether memory is kept on disk, and how much of it, from the environment.

import { QuireError } from "../errors.ts";

const usualGigabytes = 10;

/**
 * Bytes that all memories may take on disk; 0: none is kept. QUIRE_MEMORY is "on" (the default) or "off", QUIRE_MEMORY_GB the cap (10).
 * Throws "bad-option".
 */
export function memoryCap(env: Readonly<Record<string, string | undefined>> = process.env): number {
  const kept = env.QUIRE_MEMORY || "on";
  if (kept !== "on" && kept !== "off") {
    throw new QuireError("bad-option", `QUIRE_MEMORY must be on or off, not ${JSON.stringify(kept)}.`, {
      where: "QUIRE_MEMORY",
    });
  }
  const text = env.QUIRE_MEMORY_GB;
  const gigabytes = text === undefined || text.trim() === "" ? usualGigabytes : Number(text);
  if (!(gigabytes >= 0 && gigabytes <= 1e6)) {
    throw new QuireError("bad-option", `QUIRE_MEMORY_GB must be a number from 0 to 1000000, not ${text}.`, {
      where: "QUIRE_MEMORY_GB",
    });
  }
  return kept === "on" ? Math.floor(gigabytes * 1e9) : 0;
}
