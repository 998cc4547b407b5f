// plan-words.ts — what would be read with the settings as they are, as a page of text and as a sentence. Pure.

import type { MapResult } from "../../engine/protocol.ts";
import { bytesText, counted, numberText, openly } from "../../words/figures.ts";
import { groupDocuments, ownTokens } from "../../words/reading.ts";

/** What a budget buys and costs, in a sentence. */
export function planSentence({ documents, leftOut, usedTokens, budgetReason, memoryBytes, model }: MapResult): string {
  const groups = groupDocuments(documents);
  const full = groups.find(({ detail }) => detail === "full")?.files ?? 0;
  const files = groups.reduce((sum, group) => sum + group.files, leftOut.length);
  return (
    `Quire would read ${numberText(usedTokens)} tokens (budget: ${budgetReason}): ` +
    `${numberText(full)} of ${counted(files, "file")} in full, ${bytesText(memoryBytes)} of memory with ${model}.`
  );
}

/**
 * The same with every file, for reading.
 *
 * @param notices what has to be said about settings and folders
 */
export function planPage(plan: MapResult, notices: readonly string[]): string {
  const lines = [
    "# What Quire would read",
    "",
    planSentence(plan),
    ...notices.flatMap((notice) => ["", openly(notice)]),
  ];
  for (const { title, files, paths } of groupDocuments(plan.documents)) {
    const rows = paths.map(({ path, tokens }) => `${numberText(tokens).padStart(9)}  ${openly(path)}`);
    lines.push("", `## ${counted(files, "file")} ${title}`, "", ...rows);
  }
  const own = ownTokens(plan.documents);
  if (own > 0) lines.push("", `Besides, ${counted(own, "token")} of instructions and an outline of all files.`);
  if (plan.leftOut.length > 0) {
    const rows = plan.leftOut.map(
      ({ path, reason, detail }) => `${reason}${detail ? ` (${detail})` : ""}: ${openly(path)}`,
    );
    lines.push("", `## ${counted(rows.length, "file")} left out`, "", ...rows.sort());
  }
  return `${lines.join("\n")}\n`;
}
