// questions.ts — the keyed questions of the answers bench, read and checked: questions.json as typed values.
//
// `right` and `wrong` are patterns, upper and lower case alike. On what is there, an answer is right if one of `right` is in it
// and none of `wrong`. On what is not there (`kind` "missing"), see judge.ts; `absent` are patterns that the repository lacks.

import { readFile } from "node:fs/promises";
import { z } from "zod";

const kinds = ["defines", "value", "does", "raises", "across", "missing"] as const;

const question = z
  .object({
    id: z.string(),
    repository: z.string(),
    kind: z.enum(kinds),
    question: z.string(),
    right: z.array(z.string()),
    wrong: z.array(z.string()),
    /** Where the answer stands: a file, and text that the lines have, any of them. */
    gold: z.object({ path: z.string(), text: z.array(z.string()) }).optional(),
    absent: z.array(z.string()).optional(),
  })
  .strict();

export type Question = z.infer<typeof question>;
export type Kind = (typeof kinds)[number];

export async function readQuestions(): Promise<Question[]> {
  const text = await readFile(new URL("questions.json", import.meta.url), "utf8");
  return z.array(question).parse(JSON.parse(text));
}
