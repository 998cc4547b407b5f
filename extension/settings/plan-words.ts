// plan-words.ts — what would be read with the settings as they are, as a page of text and as a sentence. Pure.

import type { Detail, MapResult } from "../../engine/protocol.ts";

const details: [Detail, string][] = [
  ["full", "read in full"],
  ["outline", "as an outline"],
  ["name", "by name only"],
];

/** What a budget buys and costs, in a sentence. */
export function planSentence(plan: MapResult): string {
  const full = plan.documents.filter(({ detail }) => detail === "full").length;
  const files = plan.documents.length + plan.leftOut.length;
  return (
    `Quire would read ${number(plan.usedTokens)} tokens (budget: ${plan.budgetReason}): ` +
    `${number(full)} of ${number(files)} files in full, ${gigabytes(plan.memoryBytes)} of memory with ${plan.model}.`
  );
}

/** The same with every file, for reading. */
export function planPage(plan: MapResult): string {
  const lines = ["# What Quire would read", "", planSentence(plan)];
  for (const [detail, words] of details) {
    const rows = plan.documents.filter((row) => row.detail === detail).sort((a, b) => b.tokens - a.tokens);
    if (rows.length === 0) continue;
    lines.push(
      "",
      `## ${number(rows.length)} ${words}`,
      "",
      ...rows.map(({ path, tokens }) => `${pad(tokens)}  ${path}`),
    );
  }
  if (plan.leftOut.length > 0) {
    const rows = plan.leftOut.map(({ path, reason, detail }) => `${reason}${detail ? ` (${detail})` : ""}: ${path}`);
    lines.push("", `## ${number(rows.length)} left out`, "", ...rows.sort());
  }
  return `${lines.join("\n")}\n`;
}

function number(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, "\u202f");
}

function pad(tokens: number): string {
  return number(tokens).padStart(9);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
