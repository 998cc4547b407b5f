// edits.ts — what a memory that follows edits in place costs and what it is worth: `npm run bench -- edits`.
//
//   npm run bench -- edits [--model NAME] [--tokens N] [--commits 100] [--points 10] [--items 60] [--share none|0.25]
//                          [--include a,b] [--only replay|latency] [--repository DIR] [--reduced] [--threads 0] [--json]
//
// replay: a repository's commits are checked out one after the other, with a constant changed in an editor besides, and the memory follows
// each by the product's own calls: tokens encoded, seconds, share patched. At points in between the same questions are put to it and to a
// memory read afresh, pages chosen as in the product (budget 1 024, or half of what is read where that is less): right, loss, old values given.
// latency: one edited function in a memory; seconds until it is in step, and what is left when the edit was followed before the question.
// --share: of the memory that may be encoded in place before it is read again; "none" shows what becomes of it beyond the product's limit.
// --reduced: the 0.5B, a few thousand tokens, five points. Rows go to results/edits.json; those of other models and sizes stay there.

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { OpenModel } from "../../engine/open-model.ts";
import type { UnsavedFile } from "../../engine/protocol.ts";
import { applyChanges, type Change, constantsOf, otherNumber } from "./edits/changes.ts";
import { ask, emptyTally, type Tally } from "./edits/force.ts";
import { type History, openHistory } from "./edits/history.ts";
import { measureLatency } from "./edits/latency.ts";
import { itemsAt } from "./edits/questions.ts";
import { never, openBenchModel, WorkspaceMemory } from "./edits/workspace-memory.ts";
import type { SourceFile } from "./quality/corpus.ts";
import { printRow, provenance, type Row, readRows, writeRows } from "./results-file.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    tokens: { type: "string" },
    commits: { type: "string" },
    points: { type: "string" },
    items: { type: "string", default: "60" },
    share: { type: "string", default: "none" },
    include: { type: "string" },
    only: { type: "string" },
    repository: { type: "string", default: fileURLToPath(new URL("../../", import.meta.url)) },
    reduced: { type: "boolean", default: false },
    threads: { type: "string", default: "0" },
    json: { type: "boolean", default: false },
  },
});
const { reduced } = values;
const modelName = values.model ?? (reduced ? "qwen2.5-coder-0.5b" : "qwen2.5-coder-1.5b");
const tokens = Number(values.tokens ?? (reduced ? 8_000 : 30_000));
const include = (values.include ?? (reduced ? "engine/lookup/,engine/cite/" : "engine/,extension/,media/")).split(",");
const commitCount = Number(values.commits ?? (reduced ? 30 : 100));
const pointCount = Number(values.points ?? (reduced ? 5 : 10));
const itemCount = Number(values.items);
const share = values.share === "none" ? Number.POSITIVE_INFINITY : Number(values.share);
const pageBudget = Math.min(1024, (tokens >> 5) * 16);
const edits = 12;
/** Constants that get another value with each commit. */
const changesPerCommit = 2;

const made = provenance();
const rows: Row[] = [];
const say = (line: string): void => void process.stderr.write(`${modelName} ${tokens}: ${line}\n`);

function report(row: Row): void {
  rows.push({ bench: "edits", model: modelName, budget: tokens, share: values.share, ...row, ...made });
  printRow(rows.at(-1) ?? {}, values.json);
  const mine = (other: Row): boolean =>
    rows.some(
      ({ part, model, budget, share: of }) =>
        other.part === part && other.model === model && other.budget === budget && other.share === of,
    );
  writeRows("edits", [...kept.filter((other) => !mine(other)), ...rows]); // what is done stays if the rest is stopped
}
const kept = readRows("edits");

/** Changes of our own so far, and their texts over what is checked out. */
class Editors {
  readonly changes: Change[] = [];

  /** Gives one more constant another value: one that still has its own, as long as there is one. */
  change(files: readonly SourceFile[]): void {
    const all = files.flatMap(({ path, text }) => constantsOf(path, text));
    const isChanged = ({ path, name }: Omit<Change, "to">): boolean =>
      this.changes.some((change) => change.path === path && change.name === name);
    const chosen = all.find((constant) => !isChanged(constant)) ?? all[this.changes.length % Math.max(1, all.length)];
    if (chosen !== undefined) this.changes.push({ ...chosen, to: otherNumber(chosen.from, 3) });
  }

  async unsaved(memory: WorkspaceMemory): Promise<UnsavedFile[]> {
    // Texts of what is on disk now: planned without editors first.
    if (this.changes.length === 0) return [];
    const { read } = await memory.plan([]);
    return [...new Set(this.changes.map(({ path }) => path))].flatMap((path) => {
      const found = read.get(path);
      if (found === undefined) return [];
      const text = applyChanges(
        found.text,
        this.changes.filter((change) => change.path === path),
      );
      return text === found.text ? [] : [{ path: found.file.absolutePath, text }];
    });
  }
}

async function replay(model: OpenModel, history: History): Promise<void> {
  history.checkout(history.start);
  const memory = new WorkspaceMemory(model, history.root, include, tokens, share);
  const fresh = memory.another();
  const editors = new Editors();
  try {
    const first = await memory.follow([]);
    say(`${memory.tokens} tokens in ${memory.documents.length} documents read in ${first.seconds.toFixed(0)} s`);
    let before = memory.files();
    let patched = 0;
    const { commits } = history;
    const points = new Set(
      Array.from(
        { length: Math.min(pointCount, commits.length) },
        (_, i) => Math.round(((i + 1) * commits.length) / Math.min(pointCount, commits.length)) - 1,
      ),
    );
    const encoded: number[] = [];
    for (const [index, commit] of commits.entries()) {
      history.checkout(commit);
      for (let i = 0; i < changesPerCommit; i++) editors.change(memory.files());
      const unsaved = await editors.unsaved(memory);
      const followed = await memory.follow(unsaved);
      if (followed.how === "read again" && followed.patchedTokens === 0) before = memory.files();
      patched = followed.how === "nothing" ? patched : followed.patchedTokens;
      encoded.push(followed.encodedTokens);
      report({
        part: "commit",
        number: index + 1,
        revision: commit.slice(0, 9),
        how: followed.how,
        tokens: memory.tokens,
        documents: memory.documents.length,
        encodedTokens: followed.encodedTokens,
        encodedShare: followed.encodedTokens / memory.tokens,
        seconds: followed.seconds,
        patchedTokens: patched,
        patchedShare: patched / memory.tokens,
        changedConstants: editors.changes.length,
      });
      if (points.has(index)) await point(model, memory, fresh, before, { number: index + 1, patched });
    }
    report({
      part: "replay",
      commits: commits.length,
      tokens: memory.tokens,
      encodedTokens: encoded.reduce((sum, value) => sum + value, 0),
      encodedPerCommit: encoded.reduce((sum, value) => sum + value, 0) / commits.length,
      patchedShare: patched / memory.tokens,
    });
  } finally {
    fresh.dispose();
    memory.held.dispose();
  }
}

async function point(
  model: OpenModel,
  memory: WorkspaceMemory,
  fresh: WorkspaceMemory["held"],
  before: readonly SourceFile[],
  at: { number: number; patched: number },
): Promise<void> {
  const read = await fresh.read(memory.documents, never, () => {});
  const items = itemsAt(before, memory.files(), itemCount);
  say(
    `commit ${at.number}: ${items.length} items; ${read.prefilledTokens} tokens read afresh in ${read.seconds.toFixed(0)} s`,
  );
  const tallies = new Map<string, Tally>();
  const tallyOf = (key: string): Tally => {
    const tally = tallies.get(key) ?? emptyTally();
    tallies.set(key, tally);
    return tally;
  };
  for (const item of items)
    for (const [name, held] of [
      ["patched", memory.held],
      ["fresh", fresh],
    ] as const)
      await ask(model, held, item, pageBudget, tallyOf(`${item.group} ${name}`));
  for (const group of ["edited", "untouched"] as const) {
    const [ours, theirs] = [tallyOf(`${group} patched`), tallyOf(`${group} fresh`)];
    if (ours.items === 0) continue;
    report({
      part: "point",
      number: at.number,
      group,
      items: ours.items,
      pageBudget,
      tokens: memory.tokens,
      patchedShare: at.patched / memory.tokens,
      right: ours.right,
      freshRight: theirs.right,
      gained: ours.each.filter((right, i) => right && theirs.each[i] !== true).length,
      lost: ours.each.filter((right, i) => !right && theirs.each[i] === true).length,
      loss: ours.loss / ours.tokens,
      freshLoss: theirs.loss / theirs.tokens,
      withOld: ours.withOld,
      oldGiven: ours.oldGiven,
      freshOldGiven: theirs.oldGiven,
    });
  }
}

const model = await openBenchModel(modelName, Number(values.threads));
const history = openHistory(values.repository, include, commitCount, tokens * 3);
try {
  if (values.only !== "latency") await replay(model, history);
  if (values.only !== "replay") {
    history.checkout(history.commits.at(-1) ?? history.start);
    const memory = new WorkspaceMemory(model, history.root, include, tokens, 0.25);
    try {
      report({ part: "latency", ...(await measureLatency(memory, edits, say)) });
    } finally {
      memory.held.dispose();
    }
  }
} finally {
  history.dispose();
  model.native.dispose();
}
