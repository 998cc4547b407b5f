// budget.ts — how many tokens of the repository to read: what was asked for, or what this machine and model bear.
//
// Pure. Bounded by the model's context, by free memory and by the time reading would take; says what it chose and why.

import { numberText } from "../words/figures.ts";
import { QuireError } from "./errors.ts";
import { overheadBytes } from "./models/catalog.ts";

export interface BudgetInput {
  requested: number | "auto";
  /** Trained context in tokens. */
  context: number;
  /** Most tokens of the answer. */
  maxTokens: number;
  weightBytes: number;
  bytesPerToken: number;
  availableBytes: number;
  /** Seconds to read that many tokens, estimated or measured. */
  readingSeconds: (tokens: number) => number;
  /** Tokens of everything that could be read; the budget need not be larger. */
  repositoryTokens: number;
}

export interface Budget {
  tokens: number;
  /** For look-ups, on top of `tokens`. */
  lookUpTokens: number;
  /** Tokens of documents, thread and answer together. */
  contextTokens: number;
  /** YaRN factor; 1 where the trained length suffices. */
  ropeFactor: number;
  reason: string;
}

/** Look-ups may add this share of the token budget (DESIGN §4.6), */
const lookUpShare = 0.2;
/** but no more than can be read in this time, since every question waits for them; and a little always. */
const lookUpSeconds = 20;
const leastLookUp = 1024;
/** Question, template and outline rounding. */
const questionTokens = 1024;
/** Longest reading that `auto` accepts. */
export const autoReadingSeconds = 300;
/** Of these, for the template and the notes before a question. */
const aroundQuestion = 400;
/** Added for a thread's earlier turns where context and memory have room. */
const threadTokens = 8192;
const smallest = 512;
/** YaRN is trained to and checked up to four times the length. */
const largestRopeFactor = 4;

/** Tokens in memory at most when `budget` tokens of the repository are read. */
export function contextFor(budget: number, maxTokens: number): number {
  return Math.ceil(budget * (1 + lookUpShare)) + questionTokens + maxTokens;
}

/**
 * Tokens left for look-ups beside a question of `asked` tokens. Throws "bad-option" when the question does not fit: before
 * anything was read, since reading may take minutes.
 */
export function lookUpBeside(budget: Budget, asked: number): number {
  const room = Math.ceil(budget.tokens * lookUpShare) + questionTokens - aroundQuestion;
  if (asked > room) {
    throw new QuireError("bad-option", `The question has ${asked} tokens; there is room for ${room}.`, {
      where: "question",
      nextStep: "Ask a shorter question, or raise the token budget.",
    });
  }
  return Math.min(budget.lookUpTokens, room - asked);
}

/** Throws "budget-too-small", "budget-too-large", "out-of-memory" (with a smaller budget proposed). */
export function chooseBudget(input: BudgetInput): Budget {
  const perBudget = 1 + lookUpShare;
  const byMemory = Math.floor(
    ((input.availableBytes - input.weightBytes - overheadBytes) / input.bytesPerToken -
      questionTokens -
      input.maxTokens) /
      perBudget,
  );
  const byContext = Math.floor((input.context - questionTokens - input.maxTokens) / perBudget);
  const byBytes = Math.floor((input.availableBytes - input.weightBytes - overheadBytes) / input.bytesPerToken);
  const contextTokens = (tokens: number, ropeFactor: number): number => {
    const least = contextFor(tokens, input.maxTokens);
    const room = Math.min(input.context * ropeFactor, byBytes);
    return Math.max(least, Math.min(room, least + threadTokens));
  };
  const lookUp = (tokens: number): number => {
    const most = Math.floor(tokens * lookUpShare);
    const before = input.readingSeconds(tokens);
    const inTime = tokensWithin(lookUpSeconds, most, (added) => input.readingSeconds(tokens + added) - before);
    return Math.min(most, Math.max(leastLookUp, inTime));
  };

  if (input.requested !== "auto") {
    const tokens = input.requested;
    if (tokens < smallest) {
      throw new QuireError("budget-too-small", `A token budget of ${tokens} holds nothing; the least is ${smallest}.`, {
        where: "token-budget",
      });
    }
    const factor = contextFor(tokens, input.maxTokens) / input.context;
    if (factor > largestRopeFactor) {
      const most = Math.floor((input.context * largestRopeFactor - questionTokens - input.maxTokens) / perBudget);
      if (most < smallest) throw noRoom(input.context);
      throw new QuireError("budget-too-large", `This model reads at most ${most} tokens, not ${tokens}.`, {
        where: "token-budget",
        nextStep: `Use --token-budget ${most} or less.`,
      });
    }
    if (tokens > byMemory) throw tooLittleMemory(tokens, byMemory);
    const ropeFactor = factor <= 1 ? 1 : Math.ceil(factor * 2) / 2;
    const stretched = ropeFactor > 1 ? `, ${ropeFactor} times the trained length (YaRN)` : "";
    return {
      tokens,
      lookUpTokens: lookUp(tokens),
      contextTokens: contextTokens(tokens, ropeFactor),
      ropeFactor,
      reason: `${numberText(tokens)} tokens, as asked${stretched}`,
    };
  }

  if (byMemory < smallest) throw tooLittleMemory(smallest, byMemory);
  if (byContext < smallest) throw noRoom(input.context);
  const bounds: { tokens: number; why: string }[] = [
    { tokens: byContext, why: `the model's context of ${numberText(input.context)}` },
    { tokens: byMemory, why: "free memory" },
    {
      tokens: tokensWithin(autoReadingSeconds, byContext, input.readingSeconds),
      why: `${autoReadingSeconds / 60} minutes of reading`,
    },
  ];
  const bound = bounds.reduce((least, other) => (other.tokens < least.tokens ? other : least));
  const tokens = Math.max(smallest, bound.tokens);
  if (input.repositoryTokens <= tokens) {
    const enough = Math.max(smallest, input.repositoryTokens);
    return {
      tokens: enough,
      lookUpTokens: lookUp(enough),
      contextTokens: contextTokens(enough, 1),
      ropeFactor: 1,
      reason: `${numberText(enough)} tokens: all there is to read`,
    };
  }
  return {
    tokens,
    lookUpTokens: lookUp(tokens),
    contextTokens: contextTokens(tokens, 1),
    ropeFactor: 1,
    reason: `${numberText(tokens)} tokens, bounded by ${bound.why}`,
  };
}

function noRoom(context: number): QuireError {
  return new QuireError("budget-too-small", `The model's context of ${context} tokens leaves no room to read.`, {
    where: "token-budget",
    nextStep: "Choose a model with a longer context, or fewer --max-tokens.",
  });
}

function tooLittleMemory(tokens: number, possible: number): QuireError {
  const proposal = Math.floor(possible / 256) * 256;
  return new QuireError("out-of-memory", `Reading ${tokens} tokens with this model needs more memory than is free.`, {
    where: "token-budget",
    nextStep:
      proposal >= smallest
        ? `Use --token-budget ${proposal}, or a smaller model.`
        : "Close other programs or choose a smaller model.",
  });
}

/** The largest count whose reading takes at most `seconds`; readingSeconds grows with its argument. */
function tokensWithin(seconds: number, most: number, readingSeconds: (tokens: number) => number): number {
  let low = 0;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (readingSeconds(middle) <= seconds) low = middle;
    else high = middle - 1;
  }
  return low;
}
