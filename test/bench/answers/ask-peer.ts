// ask-peer.ts — asks llama.cpp the same: every file of the repository in the prompt, dense, greedy, the model's own chat template
// and the same instruction. No outline, no look-up, nothing said about what is missing.
//
// In: a folder, a model file, questions. Out: answers. The repository stays in the cache between its questions. Answers are kept
// outside the checkout, by model and prompt: the same prompt has the same answer, and reading costs minutes.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { languageOf } from "../../../engine/languages.ts";
import { findModel } from "../../../engine/models/catalog.ts";
import { readGguf } from "../../../engine/models/gguf.ts";
import { modelsFolder } from "../../../engine/paths.ts";
import { renderFile } from "../../../engine/render/document.ts";
import { documentsHeading, systemPrompt } from "../../../engine/render/prompt.ts";
import { renderTemplate } from "../../../engine/tokenize/render-template.ts";
import { ensurePeer, peerVersion } from "../peer/ensure-peer.ts";
import { Peer } from "../peer/peer-client.ts";
import { maxTokens } from "./ask-quire.ts";
import { benchCache } from "./repositories.ts";

const execute = promisify(execFile);
const kept = z.object({ answer: z.string(), promptTokens: z.number() });

export interface PeerAnswer extends z.infer<typeof kept> {
  cached: boolean;
}

export class AskPeer {
  readonly #model: string;
  #peer: Peer | undefined;
  #held: number[] = [];

  constructor(model: string) {
    this.#model = model;
  }

  async ask(folder: string, question: string): Promise<PeerAnswer> {
    const entry = findModel(this.#model);
    if (entry === undefined) throw new Error(`No model is called ${this.#model}.`);
    const prompt = await promptOf(join(modelsFolder(), entry.file), folder, question);
    const key = createHash("sha256")
      .update(JSON.stringify([entry.sha256, peerVersion, maxTokens, prompt]))
      .digest("hex");
    const file = join(benchCache(), "peer", `${key}.json`);
    const before = await readFile(file, "utf8").catch(() => null);
    if (before !== null) return { ...kept.parse(JSON.parse(before)), cached: true };

    this.#peer ??= await open(join(modelsFolder(), entry.file));
    const tokens = await this.#peer.tokenize(prompt, true);
    let keep = 0;
    while (keep < tokens.length - 1 && tokens[keep] === this.#held[keep]) keep++;
    const { text } = await this.#peer.generate({ tokens, maxTokens, keep });
    this.#held = tokens;
    const answer = { answer: text, promptTokens: tokens.length };
    await mkdir(join(benchCache(), "peer"), { recursive: true });
    await writeFile(file, `${JSON.stringify(answer)}\n`);
    return { ...answer, cached: false };
  }

  async dispose(): Promise<void> {
    await this.#peer?.dispose();
  }
}

async function open(path: string): Promise<Peer> {
  const peer = new Peer(await ensurePeer());
  await peer.open({ path, contextSize: 24_576, threads: availableParallelism() });
  return peer;
}

async function promptOf(model: string, folder: string, question: string): Promise<string> {
  const { stdout } = await execute("git", ["ls-files", "-z"], { cwd: folder });
  const documents: string[] = [];
  for (const path of stdout
    .split("\0")
    .filter((name) => name !== "")
    .sort()) {
    documents.push(renderFile(path, await readFile(join(folder, path), "utf8"), languageOf(path)).text);
  }
  const content = `${documentsHeading}${documents.join("")}Question: ${question}`;
  const { chatTemplate, tokenizer } = await readGguf(model);
  if (chatTemplate === null) throw new Error(`${model} has no chat template.`);
  return renderTemplate({
    template: chatTemplate,
    messages: [
      { role: "system", content: systemPrompt },
      { role: "user", content },
    ],
    bosToken: "",
    eosToken: tokenizer.tokens[tokenizer.eosId ?? -1] ?? "",
  });
}
