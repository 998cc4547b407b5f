// question-items.ts — the rows of the question box: what was typed, and below it the earlier questions that fit. Pure.

const mostShown = 20;

export interface QuestionRow {
  kind: "typed" | "earlier";
  question: string;
}

/** Rows for what was typed so far. Earlier questions fit if they hold each of its words. */
export function questionRows(typed: string, history: readonly string[]): QuestionRow[] {
  const question = typed.trim();
  const words = question.toLowerCase().split(/\s+/).filter(Boolean);
  const fitting = history.filter((earlier) => {
    const lower = earlier.toLowerCase();
    return earlier !== question && words.every((word) => lower.includes(word));
  });
  return [
    ...(question === "" ? [] : [{ kind: "typed" as const, question }]),
    ...fitting.slice(0, mostShown).map((earlier) => ({ kind: "earlier" as const, question: earlier })),
  ];
}
