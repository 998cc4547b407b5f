// ask.ts — `quire ask`: answers questions one after another over one reading, streamed, with numbered citations below.

import { text } from "node:stream/consumers";
import { numberText } from "../../words/figures.ts";
import { stateBadge } from "../../words/state.ts";
import { type AskParams, type AskResult, type Citation, methods } from "../protocol.ts";
import {
  type EngineOptions,
  parseNumber,
  parseSampling,
  parseSettings,
  parseWorkspace,
  type SamplingOptions,
} from "./options.ts";
import { duration, printJson, say } from "./output.ts";
import { withEngine } from "./session.ts";

type AskOptions = EngineOptions & SamplingOptions & { maxTokens: string; fresh?: boolean; json?: boolean };

export async function ask(questions: string[], options: AskOptions): Promise<void> {
  const workspace = await parseWorkspace(options);
  const settings = parseSettings(options);
  const sampling = parseSampling(options);
  const maxTokens = parseNumber("max-tokens", options.maxTokens, 1, 1_000_000, true);
  const json = options.json === true;
  const asked = await Promise.all(questions.map(async (given) => (given === "-" ? text(process.stdin) : given)));
  const streamed = (piece: string): void => void (json || process.stdout.write(piece));
  await withEngine(async ({ request, progress }) => {
    for (const [index, question] of asked.entries()) {
      const params: AskParams = {
        id: String(index),
        workspace,
        settings,
        question,
        // Each question stands alone: a thread of its own.
        thread: { id: String(index), turns: [] },
        // The second one finds what the first one read.
        fresh: options.fresh === true && index === 0,
        maxTokens,
        sampling,
      };
      if (asked.length > 1 && !json) say(`\n${question}`);
      const result = await request<AskResult>(methods.ask, params);
      progress.stop();
      if (json) printJson(result);
      else process.stdout.write(`\n${footer(result)}`);
      if (result.stop === "cancelled") {
        process.exitCode = 130;
        break;
      }
    }
  }, streamed);
}

/** Citations and figures, as they stand under an answer. */
function footer(result: AskResult): string {
  const lines: string[] = [];
  if (result.stop === "length") lines.push("(The answer was cut at --max-tokens.)");
  if (result.stop === "repeats") lines.push("(The answer began to repeat itself and was cut there.)");
  if (result.stop === "cancelled") lines.push("(Stopped.)");
  const verified = result.citations.filter((citation) => citation.verified);
  if (verified.length > 0) lines.push("", ...verified.map(citationLine));
  const unknown = result.citations.filter((citation) => !citation.verified);
  if (unknown.length > 0) {
    lines.push("", `Not found in what was read: ${unknown.map((citation) => citation.text).join(", ")}`);
  }
  if (result.lookedUp.length > 0) {
    const places = result.lookedUp.map((region) => `${region.path}:${region.startLine}-${region.endLine}`);
    lines.push("", `Added for this question: ${places.join(", ")}`);
  }
  const { stats } = result;
  const share = stats.pagesTotal > 0 ? (100 * stats.pagesAttended) / stats.pagesTotal : 100;
  const edited = stats.patchedTokens > 0 ? ` (${numberText(stats.patchedTokens)} of them edited in place)` : "";
  lines.push(
    "",
    `${stateBadge(result.state)}.`,
    `${result.model} on ${stats.backend}: ${numberText(stats.reusedTokens)} tokens in memory${edited}, ${numberText(stats.prefilledTokens)} read in ` +
      `${duration(stats.prefillSeconds)}, ${stats.decodedTokens} answered at ${stats.decodeTokensPerSecond.toFixed(1)} tokens/s, ` +
      `${share.toFixed(0)} % of the pages loaded.`,
  );
  return `${lines.join("\n")}\n`;
}

function citationLine(citation: Citation): string {
  const place = citation.line > 0 ? `${citation.path}:${citation.line}` : citation.path;
  const others =
    citation.choices.length > 0 ? ` (or ${citation.choices.map((c) => `${c.path}:${c.line}`).join(", ")})` : "";
  const text = citation.text.trim();
  return `  [${citation.index}] ${place}${others}${text === "" ? "" : `  ${text.length > 80 ? `${text.slice(0, 79)}…` : text}`}`;
}
