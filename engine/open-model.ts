// open-model.ts — a model ready to answer: its file fetched or verified, its weights packed, its tokenizer and template read.
//
// In: a choice of engine/models/choose.ts. Out: one object that owns the native weights. It must not know about repositories.

import type { Model } from "../native/index.d.ts";
import { QuireError } from "./errors.ts";
import type { ModelChoice } from "./models/choose.ts";
import { type FetchProgress, fetchModel } from "./models/fetch.ts";
import { modelPaths, sizeOf } from "./models/files.ts";
import { type GgufModel, readGguf } from "./models/gguf.ts";
import { fromNative, type Native } from "./native.ts";
import { ensureFolder, modelsFolder, tokensFolder } from "./paths.ts";
import { systemPrompt } from "./render/prompt.ts";
import { type ChatPieces, readChatTemplate } from "./tokenize/chat-template.ts";
import { Encoder } from "./tokenize/encoder.ts";
import { lineBeginnings } from "./tokenize/line-beginnings.ts";
import { TokenCache } from "./tokenize/token-cache.ts";
import { Tokenizer } from "./tokenize/tokenizer.ts";

export interface OpenModel {
  /** Name in the catalog, or the file's path. */
  name: string;
  file: GgufModel;
  native: Model;
  tokenizer: Tokenizer;
  encoder: Encoder;
  /** Where lines begin in a text of its tokens. */
  beginningsOf: (tokens: Int32Array) => Uint8Array;
  cache: TokenCache;
  chat: ChatPieces;
}

export interface FileOptions {
  choice: ModelChoice;
  /** False: what is not on disk is missing. */
  mayFetch: boolean;
  signal: AbortSignal;
  onFetch: (progress: FetchProgress) => void;
  say: (message: string) => void;
}

export interface OpenOptions {
  choice: ModelChoice;
  threads: number;
  cpu: string;
}

/** The path of a chosen model's file, fetched and verified. Throws what fetching throws. */
export async function modelFile({ choice, mayFetch, signal, onFetch, say }: FileOptions): Promise<string> {
  if (choice.kind === "file") return choice.path;
  const folder = await ensureFolder(modelsFolder());
  const { name, title, file } = choice.entry;
  if (!mayFetch && (await sizeOf(modelPaths(folder, file).file)) === undefined) {
    throw new QuireError("model-missing", `${title} is not on this machine yet.`, { where: name });
  }
  return fetchModel(choice.entry, { folder, signal, onProgress: onFetch, say });
}

/** Opens a model's file. Throws what reading and packing throw. It cannot be stopped: packing runs to its end. */
export async function openModel(addon: Native, path: string, options: OpenOptions): Promise<OpenModel> {
  const { choice } = options;
  const file = await readGguf(path);
  // The weights are packed on the native threads while the tokenizer is built here.
  const packing = addon
    .openModel({ path, geometry: file.geometry, tensors: file.tensors, threads: options.threads, cpu: options.cpu })
    .catch((error: unknown) => {
      throw fromNative(error);
    });
  packing.catch(() => {}); // it is awaited below, also when the tokenizer fails first
  let native: Model | undefined;
  try {
    const tokenizer = await Tokenizer.create(file.tokenizer);
    const cache = await TokenCache.open({
      folder: tokensFolder(),
      tokenizerHash: tokenizer.hash,
      vocabularySize: tokenizer.vocabularySize,
    });
    const chat = await readChatTemplate({
      tokenizer,
      template: file.chatTemplate,
      system: systemPrompt,
      eotIds: file.tokenizer.eotIds,
    });
    native = await packing;
    const name = choice.kind === "file" ? choice.path : choice.entry.name;
    const encoder = new Encoder(tokenizer, cache);
    return { name, file, native, tokenizer, encoder, beginningsOf: lineBeginnings(tokenizer), cache, chat };
  } catch (error) {
    (native ?? (await packing.catch(() => undefined)))?.dispose();
    throw error;
  }
}

/** The context that the model was trained for: with YaRN in the file, the length before stretching. */
export function trainedContext(file: GgufModel): number {
  return file.ropeScaling?.originalContext ?? file.geometry.context;
}
