// https-source.ts — a model file from a web server, resumed where it was cut off.
//
// In: an address. Out: bytes appended to the part file. A Range request continues a part; If-Range with the server's ETag makes
// sure that it is still the same file. A server that cannot be reached fails at once (no name, refused) or after some seconds
// (no answer), so that the next source gets its turn. Redirects are followed; whether the bytes are right, the hash decides.
import { readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { QuireError } from "../errors.ts";
import type { HttpsSource } from "./catalog.ts";
import { sizeOf, throwIfCancelled } from "./files.ts";
import { asDiskFull, PartFile } from "./part-file.ts";
import { SourceFailure, type SourceJob } from "./source.ts";
import type { WebAnswer } from "./web.ts";

const maxTries = 20; // of a connection that brings something each time
const stateSchema = z.object({ url: z.string(), etag: z.string() });

/** The ETag under which the part was begun at this address, if it is one that proves equality. */
async function knownTag(job: SourceJob, url: string): Promise<string | undefined> {
  try {
    const state = stateSchema.parse(JSON.parse(await readFile(job.paths.partState, "utf8")));
    return state.url === url && !state.etag.startsWith("W/") ? state.etag : undefined;
  } catch {
    return undefined;
  }
}

/** The reason in a failed fetch, in few words: what lies at the bottom of it. */
function reason(error: unknown): string {
  let last = error;
  while (last instanceof Error && last.cause instanceof Error) last = last.cause;
  if (!(last instanceof Error)) return String(last);
  const { code } = last as NodeJS.ErrnoException;
  return typeof code === "string" ? code : last.message;
}

/** Where in the file the body begins; refuses an answer that is not (a piece of) the file. */
function bodyStart(response: WebAnswer, asked: number, total: number): number {
  const encoding = response.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") throw new SourceFailure(`the answer is encoded (${encoding})`);
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
    if (range === null || Number(range[1]) !== asked)
      throw new SourceFailure("it answers with another range than asked for");
    if (range[2] !== "*" && Number(range[2]) !== total) {
      throw new SourceFailure(`its file has ${range[2]} bytes instead of ${total}`);
    }
    return asked;
  }
  if (response.status !== 200) throw new SourceFailure(`it answers ${response.status} ${response.statusText}`.trim());
  const length = response.headers.get("content-length");
  if (length !== null && Number(length) !== total)
    throw new SourceFailure(`its file has ${length} bytes instead of ${total}`);
  return 0;
}

/** One connection. Returns true when the part is whole, false when the connection ended before. */
async function receive(source: HttpsSource, job: SourceJob): Promise<boolean> {
  const { entry, paths, deps } = job;
  const have = (await sizeOf(paths.part)) ?? 0;
  if (have > entry.bytes) await rm(paths.part);
  if (have === entry.bytes) return true;
  const from = have > entry.bytes ? 0 : have;

  const stop = new AbortController();
  const cancel = (): void => stop.abort();
  job.signal?.addEventListener("abort", cancel);
  let timer = setTimeout(() => stop.abort(new Error("no answer")), deps.answerMs);
  let part: PartFile | undefined;
  try {
    const headers: Record<string, string> = { "accept-encoding": "identity" };
    if (from > 0) {
      headers.range = `bytes=${from}-`;
      const tag = await knownTag(job, source.url);
      if (tag !== undefined) headers["if-range"] = tag;
    }
    const response = await deps.ask(source.url, { headers, signal: stop.signal });
    if (response.status === 416) {
      await response.body?.cancel();
      await rm(paths.part, { force: true });
      return false;
    }
    const start = bodyStart(response, from, entry.bytes);
    const tag = response.headers.get("etag");
    if (tag !== null) await writeFile(paths.partState, JSON.stringify({ url: source.url, etag: tag }), { mode: 0o600 });
    else await rm(paths.partState, { force: true });
    part = await PartFile.open(paths.part, start, deps.openPart);
    if (response.body === null) throw new SourceFailure("it answers with nothing");
    for await (const chunk of response.body) {
      clearTimeout(timer);
      if (part.length + chunk.length > entry.bytes)
        throw new SourceFailure(`its file is larger than ${entry.bytes} bytes`);
      await part.append(chunk);
      job.report(part.length);
      timer = setTimeout(() => stop.abort(new Error("no more bytes came")), deps.stallMs);
    }
    await part.sync();
    return part.length === entry.bytes;
  } catch (error) {
    throwIfCancelled(job.signal);
    if (error instanceof SourceFailure || error instanceof QuireError) throw error;
    const full = asDiskFull(error, paths.part);
    if (full !== error) throw full;
    if (part !== undefined) return false; // cut off in the middle: what came is kept
    const said: unknown = stop.signal.aborted ? stop.signal.reason : error;
    throw new SourceFailure(`it cannot be reached (${reason(said)})`, { cause: error });
  } finally {
    clearTimeout(timer);
    job.signal?.removeEventListener("abort", cancel);
    stop.abort(); // ends the connection if the body was not read to its end
    await part?.close();
  }
}

/** Appends what is missing of the file to the part. Connects again after a cut as long as each connection brings something. */
export async function fetchFromServer(source: HttpsSource, job: SourceJob): Promise<void> {
  for (let tries = 0, before = -1; ; tries++) {
    throwIfCancelled(job.signal);
    if (await receive(source, job)) return;
    const have = (await sizeOf(job.paths.part)) ?? 0;
    const cleared = have === 0 && before > 0; // the part was of another file and is begun again, once
    if ((have <= before && !cleared) || tries >= maxTries)
      throw new SourceFailure(`the connection breaks off at ${have} bytes`);
    before = cleared ? 0 : have;
    job.say(`The connection broke off at ${have} of ${job.entry.bytes} bytes; continuing from there.`);
    await sleep(Math.min(5_000, 200 * 2 ** tries), undefined, { signal: job.signal }).catch(() => undefined);
  }
}
