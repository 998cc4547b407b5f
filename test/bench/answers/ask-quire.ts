// ask-quire.ts — asks through `quire ask --json`, as a user does: one process for a repository, one JSON line for a question.
//
// In: a folder, a model, a token budget, questions. Out: the answers in order, one after another as they come. Progress of the
// command goes to standard error.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const cli = fileURLToPath(new URL("../../../dist/cli.cjs", import.meta.url));

const place = z.object({
  index: z.number(),
  path: z.string(),
  line: z.number(),
  text: z.string(),
  verified: z.boolean(),
});
const asked = z.object({
  question: z.string(),
  preface: z.string(),
  answer: z.string(),
  marked: z.string(),
  stop: z.string(),
  citations: z.array(place),
  lookedUp: z.array(z.object({ path: z.string(), startLine: z.number(), endLine: z.number() })),
  documents: z.array(z.object({ path: z.string(), detail: z.string(), tokens: z.number() })),
  stats: z.object({
    promptTokens: z.number(),
    prefilledTokens: z.number(),
    prefillSeconds: z.number(),
    decodedTokens: z.number(),
    decodeTokensPerSecond: z.number(),
    timeToFirstTokenMs: z.number(),
    backend: z.string(),
  }),
});
export type Asked = z.infer<typeof asked>;

/** Most tokens of an answer, ours and the peer's. */
export const maxTokens = 200;

export async function* askQuire(options: {
  folder: string;
  model: string;
  tokenBudget: number;
  questions: readonly string[];
}): AsyncGenerator<Asked> {
  const { folder, model, tokenBudget, questions } = options;
  const flags = ["--json", "--root", folder, "--model", model, "--token-budget", `${tokenBudget}`];
  const child = spawn(process.execPath, [cli, "ask", ...flags, "--max-tokens", `${maxTokens}`, "--", ...questions], {
    stdio: ["ignore", "pipe", "inherit"],
    // What is measured begins with nothing in memory.
    env: { ...process.env, QUIRE_SHARE: "off" },
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  let count = 0;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const answer = asked.parse(JSON.parse(line));
      if (answer.question !== questions[count])
        throw new Error(`quire ask answered another question: ${answer.question}`);
      count++;
      yield answer;
    }
  } finally {
    child.kill();
  }
  const status = await ended;
  if (count !== questions.length)
    throw new Error(`quire ask ended (${status}) after ${count} of ${questions.length} answers.`);
}
