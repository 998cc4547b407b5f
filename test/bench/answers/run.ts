// run.ts — `npm run bench -- answers`: keyed questions about real repositories, asked of Quire and of llama.cpp, judged by the key.
//
// Options: --model qwen2.5-coder-0.5b|qwen2.5-coder-1.5b|both, --repos a,b, --limit n (questions a repository), --no-peer, --json.
// A repository that was asked whole replaces its model's rows in test/bench/results/answers.json, where sets are summed up once they
// are whole; anything less only prints. Rows go to standard output with --json, all else to standard error.

import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { AskPeer } from "./ask-peer.ts";
import { type Asked, askQuire } from "./ask-quire.ts";
import { judge, judgeCitation, mentionsOf } from "./judge.ts";
import { type Question, readQuestions } from "./questions.ts";
import { ensureRepository, type Repository, repositories } from "./repositories.ts";
import { type Circumstances, type QuestionRow, sentence, summarize } from "./rows.ts";

const checkout = fileURLToPath(new URL("../../../", import.meta.url));
const results = fileURLToPath(new URL("../results/answers.json", import.meta.url));
const models = ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"];
const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface Options {
  models: string[];
  repositories: Repository[];
  limit: number;
  peer: boolean;
  json: boolean;
}

/** 0 when everything asked for was asked; how many answers were right does not matter. */
export async function run(args: string[]): Promise<number> {
  const options = parseOptions(args);
  const questions = await readQuestions();
  const circumstances = circumstancesOf(args);
  const rows: QuestionRow[] = [];
  for (const model of options.models) {
    for (const repository of options.repositories) {
      const all = questions.filter((question) => question.repository === repository.name);
      const asked = all.slice(0, options.limit);
      const folder = await ensureRepository(repository, say);
      const made = await askRepository(asked, repository, folder, model, circumstances);
      // Kept before the peer is asked too: reading takes minutes on either side.
      const whole = asked.length === all.length;
      if (whole) await keep(made, questions);
      // The large repository does not fit the peer's context: only the small ones are asked of it.
      if (options.peer && !repository.large) {
        await askPeer(made, asked, folder, model);
        if (whole) await keep(made, questions);
      }
      rows.push(...made);
      if (options.json) for (const row of made) process.stdout.write(`${JSON.stringify(row)}\n`);
    }
  }
  for (const row of summarize(rows)) {
    say(sentence(row));
    if (options.json) process.stdout.write(`${JSON.stringify(row)}\n`);
  }
  return 0;
}

async function askRepository(
  questions: readonly Question[],
  repository: Repository,
  folder: string,
  model: string,
  circumstances: Circumstances,
): Promise<QuestionRow[]> {
  const files = await readFiles(folder);
  for (const question of questions) checkKey(question, files);
  const texts = questions.map(({ question }) => question);
  const rows: QuestionRow[] = [];
  for await (const asked of askQuire({ folder, model, tokenBudget: repository.tokenBudget, questions: texts })) {
    const question = questions[rows.length];
    if (question === undefined) break;
    const quire = quireSide(asked, question, files);
    say(progress("quire", question, quire));
    const { kind, id } = question;
    const set = repository.large ? "large" : "small";
    const about = { model, set, repository: repository.name, kind, id, question: question.question } as const;
    rows.push({ bench: "answers", row: "question", ...about, quire, peer: null, ...circumstances });
  }
  return rows;
}

async function askPeer(
  rows: QuestionRow[],
  questions: readonly Question[],
  folder: string,
  model: string,
): Promise<void> {
  const peer = new AskPeer(model);
  try {
    for (const [index, question] of questions.entries()) {
      const row = rows[index];
      if (row === undefined) continue;
      const { answer, cached, promptTokens } = await peer.ask(folder, question.question);
      row.peer = { ...judge(answer, question), answer, cached, promptTokens };
      say(progress("llama.cpp", question, row.peer));
    }
  } finally {
    await peer.dispose();
  }
}

function quireSide(
  asked: Asked,
  question: Question,
  files: ReadonlyMap<string, readonly string[]>,
): QuestionRow["quire"] {
  const mentions = mentionsOf(asked.marked);
  const verified = asked.citations.filter((citation) => citation.verified);
  const faults = verified.flatMap((citation) => {
    const mention = mentions.find(({ index }) => index === citation.index)?.mention ?? "";
    const verdict = judgeCitation(citation, mention, question, files);
    return verdict.right ? [] : [`[${citation.index}] ${citation.path}:${citation.line}: ${verdict.why}`];
  });
  const { promptTokens, prefilledTokens, prefillSeconds, timeToFirstTokenMs } = asked.stats;
  return {
    ...judge(asked.answer, question),
    preface: asked.preface,
    answer: asked.answer,
    citationsVerified: verified.length,
    citationsRightPlace: verified.length - faults.length,
    citationFaults: faults,
    promptTokens,
    prefilledTokens,
    prefillSeconds,
    timeToFirstTokenMs,
    lookedUp: asked.lookedUp.map(({ path, startLine, endLine }) => `${path}:${startLine}-${endLine}`),
  };
}

function progress(who: string, { id }: Question, side: { right: boolean; why: string; answer: string }): string {
  return `${side.right ? "right" : "WRONG"} ${who} ${id}: ${side.answer.replace(/\s+/g, " ").slice(0, 160)} (${side.why})`;
}

async function readFiles(folder: string): Promise<Map<string, string[]>> {
  const names = execFileSync("git", ["ls-files", "-z"], { cwd: folder, encoding: "utf8" }).split("\0");
  const files = new Map<string, string[]>();
  for (const name of names.filter((one) => one !== "")) {
    files.set(name, (await readFile(join(folder, name), "utf8")).split("\n"));
  }
  return files;
}

/** Throws unless the gold lines stand there and what is said to be missing is. */
function checkKey(question: Question, files: ReadonlyMap<string, readonly string[]>): void {
  for (const text of question.gold?.text ?? []) {
    const there = files.get(question.gold?.path ?? "")?.some((line) => line.includes(text)) === true;
    if (!there) throw new Error(`${question.id}: ${text} is not in ${question.gold?.path}.`);
  }
  for (const source of question.absent ?? []) {
    const pattern = new RegExp(source, "i");
    for (const [path, lines] of files) {
      if (pattern.test(path) || lines.some((line) => pattern.test(line))) {
        throw new Error(`${question.id}: ${source} is in ${path}.`);
      }
    }
  }
}

function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string", default: "both" },
      repos: { type: "string" },
      limit: { type: "string" },
      "no-peer": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const chosen = values.model === "both" ? models : models.filter((name) => name === values.model);
  if (chosen.length === 0) throw new Error(`--model is one of ${models.join(", ")}, both.`);
  const wanted = values.repos?.split(",") ?? repositories.map(({ name }) => name);
  const some = repositories.filter(({ name }) => wanted.includes(name));
  if (some.length < wanted.length) throw new Error(`--repos: of ${repositories.map(({ name }) => name).join(", ")}.`);
  const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : Number(values.limit);
  if (!(limit >= 1)) throw new Error("--limit is a whole number from 1.");
  return { models: chosen, repositories: some, limit, peer: !values["no-peer"], json: values.json };
}

function circumstancesOf(args: readonly string[]): Circumstances {
  const git = (...words: string[]): string => execFileSync("git", words, { cwd: checkout, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--", "engine", "native") === "" ? "" : " with changes";
  return {
    command: ["npm run bench -- answers", ...args].join(" "),
    commit: `${git("rev-parse", "--short=12", "HEAD")}${changed}`,
    machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** Puts a repository's rows into the result file in place of its model's older ones, and sums up the sets that are whole. */
async function keep(rows: readonly QuestionRow[], questions: readonly Question[]): Promise<void> {
  const text = await readFile(results, "utf8").catch(() => "[]");
  const before = z.array(z.custom<QuestionRow>((row) => z.object({ row: z.string() }).safeParse(row).success));
  const old = before.parse(JSON.parse(text)).filter(({ row }) => row === "question");
  const replaced = (row: QuestionRow): boolean =>
    rows.some(({ model, repository }) => model === row.model && repository === row.repository);
  const all = [...old.filter((row) => !replaced(row)), ...rows];
  const sizes = new Map(repositories.map(({ name, large }) => [name, large ? "large" : "small"]));
  const wanted = (set: string): number => questions.filter(({ repository }) => sizes.get(repository) === set).length;
  const whole = summarize(all).filter((sum) => {
    const have = all.filter(({ model, set }) => model === sum.model && set === sum.set);
    return have.length === wanted(sum.set);
  });
  await writeFile(results, `${JSON.stringify([...whole, ...all], null, 1)}\n`);
  say("Written: test/bench/results/answers.json");
}
