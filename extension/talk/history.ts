// history.ts — earlier questions, newest first: each once, and not more than a list can show. Pure.

const most = 50;
/** A longer question is asked, but not offered again. */
const longest = 2_000;

/** The history with a question at its head. */
export function remember(history: readonly string[], question: string): string[] {
  const asked = question.trim();
  if (asked === "" || asked.length > longest) return [...history];
  return [asked, ...history.filter((earlier) => earlier !== asked)].slice(0, most);
}

/** What was kept, as far as it is one; whatever else lay there is dropped. */
export function restoreHistory(kept: unknown): string[] {
  if (!Array.isArray(kept)) return [];
  const questions = kept.filter((entry): entry is string => typeof entry === "string");
  return questions.reduceRight<string[]>((history, question) => remember(history, question), []);
}
