// chat-template.ts — the token ids that go around a system prompt, a question and an answer, from the chat template of the GGUF.
//
// In: a tokenizer, the template (or null) and our system prompt. Out: the pieces of a conversation. The template is rendered
// once with sentinels instead of texts and cut at them; only the template's own pieces are encoded with control tokens, never the
// texts. It runs in a thread with limits of time, memory and length. It must not know what is asked.

import type { Worker } from "node:worker_threads";
import { QuireError } from "../errors.ts";
import type { RenderRequest } from "./render-template.ts";
import { startWorker } from "./start-worker.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { RenderJob, RenderReply } from "./worker.ts";

export interface ChatPieces {
  /** From the beginning up to the user's content; the system prompt is in it. */
  prologue: Int32Array;
  /** From the end of the user's content to the beginning of the answer. */
  afterQuestion: Int32Array;
  /** From the end of an answer, its stop token included, to the beginning of the next question. */
  afterAnswer: Int32Array;
  /** Ids that end an answer, ascending. */
  stopTokens: number[];
}

export interface ChatOptions {
  tokenizer: Tokenizer;
  /** Jinja source; null: ChatML where the vocabulary has its tokens. */
  template: string | null;
  system: string;
  /** Ids that the file names as ends of an answer. */
  eotIds?: readonly number[];
}

export interface ChatDeps {
  start(job: RenderJob): Worker;
  /** Milliseconds that a template may take, the thread's start included. */
  timeout: number;
}

const maxTemplateLength = 200_000;
const maxRenderedLength = 100_000;
const memoryLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 };
/** Six times what a busy machine was seen to need; a template that never ends holds a thread of its own, and opening can be stopped. */
const realDeps: ChatDeps = { start: (job) => startWorker(job, memoryLimits), timeout: 60_000 };

const chatMl =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// Letters only, so that no template trims, escapes or splits them.
const sentinels = [
  "QuireSystemSentinel",
  "QuireQuestionSentinel",
  "QuireAnswerSentinel",
  "QuireFollowUpSentinel",
  "QuireSecondAnswerSentinel",
  "QuireLastQuestionSentinel",
] as const;

function unsupported(reason: string): QuireError {
  return new QuireError("unsupported-model", `The model's chat template cannot be used: ${reason}.`, {
    where: "tokenizer.chat_template",
  });
}

function render(request: RenderRequest, deps: ChatDeps): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = deps.start({ request, maxLength: maxRenderedLength });
    worker.ref();
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      worker.removeAllListeners();
      worker.on("error", () => {}); // what it does while it ends is of no interest
      void worker.terminate();
      finish();
    };
    const timer = setTimeout(
      () => settle(() => reject(unsupported(`it takes more than ${deps.timeout} ms`))),
      deps.timeout,
    );
    worker.once("message", (reply: RenderReply) =>
      settle(() => ("text" in reply ? resolve(reply.text) : reject(unsupported(reply.error)))),
    );
    worker.once("error", (error) => settle(() => reject(unsupported(error.message))));
    worker.once("exit", () => settle(() => reject(unsupported("it ended the thread it ran in"))));
  });
}

/** The pieces around the sentinels. */
function cut(text: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  for (const sentinel of sentinels) {
    const at = text.indexOf(sentinel, from);
    if (at < 0) throw unsupported("it leaves out the system prompt, a question or an answer, or changes their order");
    if (text.indexOf(sentinel) !== at || text.indexOf(sentinel, at + 1) >= 0) throw unsupported("it repeats a text");
    pieces.push(text.slice(from, at));
    from = at + sentinel.length;
  }
  return [...pieces, text.slice(from)];
}

function join(...parts: Int32Array[]): Int32Array {
  const whole = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Renders and cuts the template. Throws "unsupported-model" where it has no place for the texts or passes a limit. */
export async function readChatTemplate(options: ChatOptions, deps: ChatDeps = realDeps): Promise<ChatPieces> {
  const { tokenizer, system, eotIds = [] } = options;
  const template = options.template ?? (hasChatMl(tokenizer) ? chatMl : null);
  if (template === null) throw unsupported("there is none, and the vocabulary has no <|im_start|>");
  if (template.length > maxTemplateLength) throw unsupported(`it is ${template.length} characters long`);
  const [first, question, answer, followUp, secondAnswer, lastQuestion] = sentinels;
  const messages: RenderRequest["messages"] = [
    { role: "system", content: first },
    { role: "user", content: question },
    { role: "assistant", content: answer },
    { role: "user", content: followUp },
    { role: "assistant", content: secondAnswer },
    { role: "user", content: lastQuestion },
  ];
  const spelling = (id: number | undefined): string => (id === undefined ? "" : tokenizer.spellingOf(id));
  const request = { template, messages, bosToken: spelling(tokenizer.bosId), eosToken: spelling(tokenizer.eosId) };
  const pieces = cut(await render(request, deps)).map((piece) => tokenizer.encodeTemplate(piece));
  const [beforeSystem, afterSystem, , afterAnswer, , afterSecond, last] = pieces;
  if (!beforeSystem || !afterSystem || !afterAnswer || !afterSecond || !last)
    throw unsupported("it has too few pieces");
  if (last.length === 0 || afterAnswer.length === 0) throw unsupported("it does not separate questions from answers");
  if (afterAnswer.join() !== afterSecond.join()) throw unsupported("it separates later turns differently");
  const { bosId } = tokenizer;
  const bos =
    bosId !== undefined && tokenizer.addBos && beforeSystem[0] !== bosId ? Int32Array.of(bosId) : new Int32Array(0);
  const stops = new Set(eotIds);
  if (tokenizer.eosId !== undefined) stops.add(tokenizer.eosId);
  const end = afterAnswer[0];
  if (end !== undefined && tokenizer.isControl(end)) stops.add(end);
  return {
    prologue: join(bos, beforeSystem, tokenizer.encode(system), afterSystem),
    // The header of an answer that is still to come; a template may write those of earlier answers differently.
    afterQuestion: last,
    afterAnswer,
    stopTokens: [...stops].sort((a, b) => a - b),
  };
}

function hasChatMl(tokenizer: Tokenizer): boolean {
  return ["<|im_start|>", "<|im_end|>"].every((token) => {
    const id = tokenizer.idOf(token);
    return id !== undefined && tokenizer.isControl(id);
  });
}
