// peer-client.ts — the peer's methods as typed calls. peer.mjs says what each does; it runs in a process of its own, because
// node-llama-cpp needs its own node_modules and a fault in it must not end a test.
//
// In: the folder from ensurePeer(). Out: promises. It must not be imported by product code.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const reply = z.object({ id: z.number(), result: z.unknown().optional(), error: z.string().optional() });
const ids = z.array(z.number());
const row = z.object({ ids, logProbabilities: z.array(z.number()) });
const opened = z.object({
  contextSize: z.number(),
  release: z.object({ release: z.string() }).loose().nullable(),
  systemInfo: z.string(),
  threads: z.number(),
  batchSize: z.number(),
  flashAttention: z.boolean(),
  kv: z.literal("f16"),
});
const generated = z.object({
  tokens: ids,
  text: z.string(),
  stop: z.enum(["stop-token", "length"]),
  prefillSeconds: z.number(),
  decodeSeconds: z.number(),
});

export type PeerRow = z.infer<typeof row>;
export type PeerOpened = z.infer<typeof opened>;
export type PeerGenerated = z.infer<typeof generated>;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class Peer {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #log = "";

  /** Starts the process; nothing is loaded yet. */
  constructor(folder: string) {
    const script = fileURLToPath(new URL("peer.mjs", import.meta.url));
    this.#child = spawn(process.execPath, [script, folder], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.on("data", (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-20_000);
    });
    this.#child.stdin.on("error", () => {}); // told by "close"
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const message = reply.parse(JSON.parse(line));
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error === undefined) waiting?.resolve(message.result);
      else waiting?.reject(new Error(`llama.cpp: ${message.error}`));
    });
    this.#child.on("close", (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`The peer ended (${code}). ${this.#log}`));
      this.#waiting.clear();
    });
  }

  /** What llama.cpp wrote to its log, the last 20 000 characters. */
  get log(): string {
    return this.#log;
  }

  async #call<T>(method: string, params: object, schema: z.ZodType<T>): Promise<T> {
    const id = this.#next++;
    const result = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.stdin.write(`${JSON.stringify({ id, method, params })}\n`);
    return schema.parse(await result);
  }

  open(options: {
    path: string;
    contextSize: number;
    threads: number;
    batchSize?: number;
    flashAttention?: boolean;
  }): Promise<PeerOpened> {
    return this.#call("open", options, opened);
  }
  tokenize(text: string, special = false): Promise<number[]> {
    return this.#call("tokenize", { text, special }, ids);
  }
  detokenize(tokens: readonly number[]): Promise<string> {
    return this.#call("detokenize", { tokens }, z.string());
  }
  logits(tokens: readonly number[], top: number): Promise<PeerRow[]> {
    return this.#call("logits", { tokens, top }, z.array(row));
  }
  /** Seconds. */
  prefill(before: readonly number[], tokens: readonly number[]): Promise<number> {
    return this.#call("prefill", { before, tokens }, z.number());
  }
  /** Seconds a step. */
  decode(before: readonly number[], tokens: readonly number[]): Promise<number[]> {
    return this.#call("decode", { before, tokens }, z.array(z.number()));
  }
  /** Per length: seconds of reading that far, and of `steps` steps after it. */
  readAndStep(options: {
    tokens: readonly number[];
    lengths: readonly number[];
    steps: number;
  }): Promise<{ readSeconds: number; decodeSeconds: number }[]> {
    const measured = z.array(z.object({ readSeconds: z.number(), decodeSeconds: z.number() }));
    return this.#call("readAndStep", options, measured);
  }
  generate(options: {
    tokens: readonly number[];
    maxTokens: number;
    stopTokens?: readonly number[];
    keep?: number;
  }): Promise<PeerGenerated> {
    return this.#call("generate", options, generated);
  }
  libraries(): Promise<string[]> {
    return this.#call("libraries", {}, z.array(z.string()));
  }

  /** Frees the model and ends the process. */
  async dispose(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    if (this.#child.exitCode !== null) return;
    this.#child.stdin.end();
    await ended;
  }
}
