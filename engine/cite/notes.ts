// notes.ts — what is said above an answer when the question names what memory lacks, and whether an answer says "not found".
// Pure; imports nothing but types.

export interface NamedInQuestion {
  path: string;
  state: "full" | "outline" | "name" | "off";
}

const mostNamed = 4;

/** A sentence or two, or "" where there is nothing to say. `question` decides nothing but the order: what it names first comes first. */
export function explainMissing(
  question: string,
  namedFiles: readonly NamedInQuestion[],
  missing: readonly string[],
): string {
  const place = (name: string): number => {
    const at = question.indexOf(name);
    return at < 0 ? question.length : at;
  };
  const sentences: string[] = [];
  const absent = [...new Set(missing)].sort((a, b) => place(a) - place(b));
  if (absent.length > 0) sentences.push(`I don't find ${listOf(absent.map(quote))} in this workspace.`);
  const say = (state: NamedInQuestion["state"], words: (files: string, many: boolean) => string): void => {
    const files = namedFiles.filter((file) => file.state === state).map(({ path }) => path);
    if (files.length > 0) sentences.push(words(listOf(files.map(quote)), files.length > 1));
  };
  say(
    "off",
    (files, many) =>
      `${files} ${many ? "are" : "is"} not in memory: only the parts that your question needs were added.`,
  );
  say(
    "name",
    (files, many) =>
      `Of ${files} memory holds only the ${many ? "names" : "name"}: the parts that your question needs were added.`,
  );
  say(
    "outline",
    (files, many) =>
      `Of ${files} memory holds only the ${many ? "outlines" : "outline"}: the parts that your question needs were added.`,
  );
  return sentences.join(" ");
}

const notFound =
  /\b(?:i|we) (?:do not|don['’]t|did not|didn['’]t|can ?not|can['’]t|could not|couldn['’]t|was not able to|am not able to|am unable to) (?:find|see|locate|identify)\b|\b(?:is|are|was|were) not (?:found|present|defined|mentioned|included|contained|shown|available|part of)\b|\bisn['’]t (?:defined|present|mentioned|included|in|part)\b|\bthere (?:is|are|was|were) no\b|\bdo(?:es)? not (?:exist|appear|contain|include|mention|define|seem to (?:exist|contain|be))\b|\bdoesn['’]t (?:exist|appear|contain|include|mention|define|seem)\b|\bno (?:such|mention of|information about|reference to|definition of|evidence of)\b|\bnot (?:in|within) (?:what i read|the (?:files|code|context|repository))\b|\bno [\w`.]+ (?:is|was|could be) (?:found|defined)\b/i;

/** The answer says, in its first two sentences, that what was asked for is not there. */
export function isNotFoundAnswer(answer: string): boolean {
  const beginning = answer
    .trim()
    .slice(0, 600)
    .split(/(?<=[.!?])\s+|\n/)
    .filter((part) => part.trim() !== "")
    .slice(0, 2)
    .join(" ");
  return notFound.test(beginning);
}

function quote(name: string): string {
  const plain = [...name].map((character) => (character < " " || character === "`" ? " " : character)).join("");
  return `\`${plain.slice(0, 120)}\``;
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, mostNamed);
  const more = names.length - shown.length;
  if (more > 0) return `${shown.join(", ")} and ${more} more`;
  return shown.length < 2 ? (shown[0] ?? "") : `${shown.slice(0, -1).join(", ")} and ${shown[shown.length - 1]}`;
}
