// summary.ts — the README's few figures, one line a claim, each taken from a committed row.

import { type Row, readRows } from "./results-file.ts";

const whole = (value: unknown): string => Math.round(Number(value)).toLocaleString("en-US").replaceAll(",", "\u00a0");
const times = (value: unknown): string => `**${Number(value).toFixed(1)}×**`;

/** A line: what, Quire, beside what, the ratio. Nothing where the row is not there. */
type Line = [string, string, string, string];

function cpu(): Line[] {
  const rows = readRows("cpu").filter(({ bench, model }) => bench === "cpu" && model === "qwen2.5-coder-0.5b");
  const of = (what: string, tokens: number, mode: string): Row | undefined =>
    rows.find((row) => row.what === what && row.tokens === tokens && row.mode === mode);
  const longest = Math.max(...rows.map(({ tokens }) => Number(tokens)));
  const line = (row: Row | undefined, words: string): Line[] =>
    row === undefined
      ? []
      : [[words, `${whole(row.quire)} tokens/s`, `llama.cpp ${whole(row.peer)} tokens/s`, times(row.ratio)]];
  return [
    ...line(of("prefill", 512, "dense"), "reading 512 tokens, 0.5B, two cores"),
    ...line(of("prefill", longest, "dense"), `reading ${whole(longest)} tokens, the same attention as llama.cpp's`),
    ...line(of("prefill", longest, "sparse"), `reading ${whole(longest)} tokens sparsely`),
    ...line(of("decode", longest, "sparse"), `answering after ${whole(longest)} tokens`),
  ];
}

function gpu(): Line[] {
  const rows = readRows("gpu").filter(({ peer }) => peer !== undefined);
  const of = (what: string, attention: string | undefined): Row | undefined =>
    rows.find(
      (row) =>
        row.shape === "8B" &&
        row.what === what &&
        row.context === 131072 &&
        (attention === undefined || row.attention === attention),
    );
  const line = (row: Row | undefined, words: string): Line[] =>
    row === undefined
      ? []
      : [[words, `${whole(row.quire)} tokens/s`, `llama.cpp ${whole(row.peer)} tokens/s`, times(row.ratio)]];
  return [
    ...line(of("decode", undefined), "answering after 131\u00a0072 tokens, 8B shape, one H200"),
    ...line(of("prefill", "sparse"), "reading there, sparsely"),
  ];
}

function answers(): Line[] {
  const rows = readRows("answers").filter((row) => row.row === "summary" && row.model === "qwen2.5-coder-1.5b");
  const small = rows.find(({ set, kind }) => set === "small" && kind === "all");
  const large = rows.find(({ set, kind }) => set === "large" && kind === "all");
  const lines: Line[] = [];
  if (small !== undefined) {
    const right = `${small.right} of ${small.total} right`;
    lines.push(["keyed questions, 1.5B", right, `llama.cpp ${small.peerRight} of ${small.total}`, ""]);
    lines.push([
      "verified citations at the right place",
      `${small.citationsRightPlace} of ${small.citationsVerified}`,
      "",
      "",
    ]);
  }
  if (large !== undefined)
    lines.push(["a repository four times the budget, 1.5B", `${large.right} of ${large.total} right`, "", ""]);
  return lines;
}

/** The README's table. */
export function summary(): string {
  const lines = [...cpu(), ...gpu(), ...answers()];
  const head = ["", "Quire", "beside", ""];
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
