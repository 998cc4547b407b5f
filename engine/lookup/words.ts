// words.ts — words of a question and of code: splitting, light stemming, stop words, and the short forms that code uses.
// Pure. A leaf: imports nothing.

const stopWords = new Set(
  (
    "a an the this that these those there here it its is are was were be been being am do does did done doing has have had having " +
    "i you we they he she me my your our their them us and or but nor not no if then else than so too as at by for from in into of off on " +
    "onto out over to under up with without about after before between during through while when where which who whom whose what why how " +
    "can could may might must shall should will would let lets please tell show explain describe give find list name say know want need " +
    "any all each every some such same other another own only just also ever even still yet more most less least many much few very " +
    "get gets got make makes made go goes happen happens mean means one two work works using used use uses exactly actually inside " +
    "whether tells says gives yes no later again given code codebase repository repo project workspace program source"
  ).split(" "),
);

/** Words that say what kind of thing is asked for; code is full of them, so they weigh little. */
const faintWords = new Set(
  (
    "file files function functions method methods class classes value values default defaults constant constants parameter parameters " +
    "argument arguments return returns returned type types variable variables define defines defined definition implement implements " +
    "implemented call calls called raise raises raised throw throws thrown error errors exception set sets setting option options " +
    "number string object module line lines declare declared contain contains handle handles handled attribute property result test tests"
  ).split(" "),
);

/** What code writes for a word, beside the word itself. */
// biome-ignore format: one table
const shortForms: Record<string, string[]> = {
  maximum: ["max"], minimum: ["min"], authentication: ["auth"], authorization: ["auth"], authenticate: ["auth"], configuration: ["config", "cfg"],
  configure: ["config"], initialize: ["init"], initial: ["init"], initialization: ["init"], environment: ["env"], directory: ["dir"],
  directories: ["dir"], message: ["msg"], parameter: ["param"], argument: ["arg"], arguments: ["args"], length: ["len"], character: ["char"],
  command: ["cmd"], delete: ["remove", "del"], remove: ["delete"], removes: ["delete"], temporary: ["temp", "tmp"], database: ["db"],
  attribute: ["attr"], address: ["addr"], password: ["passwd", "pwd"], asynchronous: ["async"], synchronous: ["sync"], context: ["ctx"],
  connection: ["conn"], response: ["res", "resp"], request: ["req"], error: ["err"], buffer: ["buf"], window: ["win"], document: ["doc"],
  execute: ["exec", "run"], specification: ["spec"], reference: ["ref"], index: ["idx"], previous: ["prev"], property: ["prop"],
  expression: ["expr"], allocate: ["alloc"], allocation: ["alloc"], deallocate: ["free"], calculate: ["compute"], compute: ["calc"],
  seconds: ["sec"], milliseconds: ["ms"], millisecond: ["ms"], utility: ["util"], utilities: ["util"], statistics: ["stat"],
  decide: ["select", "choose", "chosen"], decides: ["select", "choose", "chosen"], choose: ["select", "chosen"], chooses: ["select", "chosen"],
  pick: ["select", "choose", "chosen"], select: ["choose", "chosen"], selected: ["choose", "chosen"], chosen: ["choose", "select"],
  application: ["app"], administrator: ["admin"], development: ["dev"], production: ["prod"], regular: ["regex"], pattern: ["regex"],
};

/** The parts of an identifier or a phrase, lower case: "parseHTTPUrl_v2" → parse, http, url, v2. */
export function splitWords(text: string): string[] {
  return text
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, "$1 $2")
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((part) => part !== "");
}

/** A path's last segment without its ending. */
export function fileStem(path: string): string {
  return (path.split("/").pop() ?? "").replace(/\.[^.]*$/, "");
}

/** A prefix shared by a word's usual forms; never shorter than 3 letters. */
export function stem(word: string): string {
  const w = word.toLowerCase();
  for (const [ending, shortest] of endings) {
    if (w.endsWith(ending) && w.length - ending.length >= shortest) {
      const cut = w.slice(0, -ending.length);
      // "stripping" → "strip", but "calling" → "call" and "passed" → "pass"
      return (ending === "ing" || ending === "ed") && /([bdgmnprt])\1$/.test(cut) ? cut.slice(0, -1) : cut;
    }
  }
  return w;
}

// biome-ignore format: one table
const endings: [string, number][] = [
  ["izations", 4], ["ization", 4], ["ations", 4], ["ation", 4], ["ities", 4], ["ments", 5], ["ment", 5], ["ings", 4], ["ions", 5], ["ion", 5],
  ["ing", 3], ["ies", 3], ["ied", 3], ["ness", 4], ["able", 4], ["sses", 2], ["es", 4], ["ed", 3], ["ers", 4], ["er", 4], ["ly", 4], ["ity", 4],
  ["e", 4], ["s", 3], ["y", 4],
];

export function isStopWord(word: string): boolean {
  return stopWords.has(word.toLowerCase());
}

export function isFaintWord(word: string): boolean {
  return faintWords.has(word.toLowerCase());
}

/** The stem, and stems of what code writes instead. */
export function wordForms(word: string): string[] {
  const w = word.toLowerCase();
  const short = Object.hasOwn(shortForms, w) ? (shortForms[w] ?? []) : [];
  return [...new Set([stem(w), ...short])];
}
