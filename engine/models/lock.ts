// lock.ts — one download of a file at a time, over all processes of the user.
//
// A lock is a file with its owner's process number, touched every few seconds. It dies with its owner: one whose process is
// gone, or that was not touched for a while (a number used again, another machine on a shared disk), is taken over. Should
// two ever hold it in spite of that, nothing wrong can come of it: what they fetch is verified before it counts.
import { randomUUID } from "node:crypto";
import { open, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { throwIfCancelled } from "./files.ts";

const touchEveryMs = 2_000;
const staleAfterMs = 20_000; // ten touches missed: more than a busy event loop explains
const pollMs = 200;

const ownerSchema = z.object({ pid: z.int().positive(), host: z.string(), token: z.string() });
type Owner = z.infer<typeof ownerSchema>;

export interface Lock {
  release(): Promise<void>;
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

async function readOwner(file: string): Promise<Owner | undefined> {
  try {
    return ownerSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return undefined; // gone, or just made and not yet written
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM"; // another user's process of that number
  }
}

async function isStale(file: string, owner: Owner | undefined): Promise<boolean> {
  try {
    if (owner !== undefined && owner.host === hostname() && !isAlive(owner.pid)) return true;
    return Date.now() - (await stat(file)).mtimeMs > staleAfterMs;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false; // released meanwhile: the next try gets it
    throw error;
  }
}

/** Takes a dead owner's lock away. If it changed hands since it was looked at, it is put back. */
async function takeAway(file: string, dead: Owner | undefined, token: string): Promise<void> {
  const aside = `${file}.${token}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  const taken = await readOwner(aside);
  if (taken?.token !== dead?.token) await rename(aside, file);
  else await rm(aside, { force: true });
}

/**
 * Waits until the lock is ours. `onWait` is called once, with the holder's process number, if it has to wait; it may throw
 * instead of waiting. Throws "cancelled" when the signal fires.
 */
export async function acquireLock(
  file: string,
  { signal, onWait }: { signal?: AbortSignal | undefined; onWait: (holder: number | string) => void },
): Promise<Lock> {
  const me: Owner = { pid: process.pid, host: hostname(), token: randomUUID() };
  for (let waited = false; ; ) {
    throwIfCancelled(signal);
    try {
      const handle = await open(file, "wx", 0o600);
      try {
        await handle.writeFile(JSON.stringify(me));
      } catch (error) {
        await rm(file, { force: true });
        throw error;
      } finally {
        await handle.close();
      }
      break;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const owner = await readOwner(file);
    if (await isStale(file, owner)) {
      await takeAway(file, owner, me.token);
      continue;
    }
    if (!waited && owner !== undefined) {
      onWait(owner.pid);
      waited = true;
    }
    await sleep(pollMs);
  }
  const timer = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined); // gone: someone took us for dead; harmless, see above
  }, touchEveryMs);
  timer.unref();
  return {
    async release() {
      clearInterval(timer);
      if ((await readOwner(file))?.token === me.token) await rm(file, { force: true });
    },
  };
}
