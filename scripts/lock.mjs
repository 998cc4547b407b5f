// lock.mjs — one set-up at a time in a checkout, with a lock that dies with its owner.
//
// Node has no flock, so the lock is a row of tickets: files `lock.1`, `lock.2`, … with their owner's process id. The highest
// ticket holds the lock while its owner lives and has not marked it free. Who finds it free or its owner dead links the next
// number, which only one can; older tickets are then removed, the highest never is, so a number is not given out twice.
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const free = "free";

function highest(folder) {
  const numbers = readdirSync(folder).flatMap((name) => (/^lock\.\d+$/.test(name) ? [Number(name.slice(5))] : []));
  return Math.max(0, ...numbers);
}

/** When the process began, so that a reused id is not taken for the owner. Empty where the system does not say. */
function beginning(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

/** Who holds a ticket: its process id, or undefined when it is free, gone or its owner dead. */
function holder(file) {
  let text;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  const [pid, began] = text.split(" ");
  if (text === free || !pid) return undefined;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if (error.code === "ESRCH") return undefined;
  }
  const now = beginning(pid);
  return now && began && now !== began ? undefined : Number(pid);
}

/** Takes the lock if nobody has it. Returns a function that frees it, or the id of the process that has it. */
export function tryLock(folder) {
  mkdirSync(folder, { recursive: true });
  const last = highest(folder);
  const owner = holder(join(folder, `lock.${last}`));
  if (owner !== undefined) return { owner };
  const ticket = join(folder, `lock.${last + 1}`);
  const draft = join(folder, `draft.${process.pid}.${Math.random().toString(36).slice(2)}`);
  writeFileSync(draft, `${process.pid} ${beginning(process.pid)}`);
  try {
    linkSync(draft, ticket);
  } catch (error) {
    if (error.code === "EEXIST") return { owner: undefined };
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  if (highest(folder) > last + 1) {
    // The row went on while we looked: our number was used and cleared away before.
    rmSync(ticket, { force: true });
    return { owner: undefined };
  }
  for (let number = last; number > 0 && number > last - 100; --number)
    rmSync(join(folder, `lock.${number}`), { force: true });
  return { release: () => writeFileSync(ticket, free) };
}

/**
 * Runs `work` while holding the lock; `waiting` is called once, with its id, if another process has it.
 * @template T
 * @param {string} folder
 * @param {() => T | Promise<T>} work
 * @param {(owner: number) => void} waiting
 * @returns {Promise<T>}
 */
export async function withLock(folder, work, waiting = () => {}) {
  for (let told = false; ; await sleep(100)) {
    const { release, owner } = tryLock(folder);
    if (release) {
      try {
        return await work();
      } finally {
        release();
      }
    }
    if (owner !== undefined && !told) {
      told = true;
      waiting(owner);
    }
  }
}
