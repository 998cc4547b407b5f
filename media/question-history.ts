// question-history.ts — going back and forth through earlier questions in the question box, like in a shell.
//
// In: earlier questions, newest first, and what is in the box. Out: what the box should hold, or undefined: nothing to go to.
// What was being typed comes back below the newest question. Pure but for the place it remembers.

export class QuestionHistory {
  private at = -1;
  private typed = "";

  /** The next older question. */
  older(questions: readonly string[], current: string): string | undefined {
    const question = questions[this.at + 1];
    if (question === undefined) return undefined;
    if (this.at < 0) this.typed = current;
    this.at++;
    return question;
  }

  /** The next newer question, and at last what was being typed. */
  newer(questions: readonly string[]): string | undefined {
    if (this.at < 0) return undefined;
    this.at--;
    return this.at < 0 ? this.typed : questions[this.at];
  }

  /** Begins anew: something was typed or asked. */
  reset(): void {
    this.at = -1;
    this.typed = "";
  }

  /** A question of the history is in the box. */
  get isRecalling(): boolean {
    return this.at >= 0;
  }
}
