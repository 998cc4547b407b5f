// pre-tokenizers.ts — how a text is cut into words before byte-pair encoding, by the name that a GGUF gives in
// `tokenizer.ggml.pre`.
//
// In: a name. Out: one sticky expression of which every match is a word, and whether a whole word that is in the vocabulary
// is taken as it is (`ignoreMerges`). The families and names are those of llama.cpp (src/llama-vocab.cpp); where it runs two
// expressions one after the other, they are written here as one with the same cuts.
// Unicode's White_Space stands for \s: JavaScript's \s has U+FEFF and lacks U+0085. A leaf: imports nothing.

/** One way of cutting. */
export interface PreTokenizer {
  /** Source of the expression, to be compiled with the flags "uy". */
  readonly pattern: string;
  /** A word that is in the vocabulary is one token, whatever the merges say. */
  readonly ignoreMerges: boolean;
}

const space = "\\p{White_Space}";
const contraction = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const gpt2Contraction = "'s|'t|'re|'ve|'m|'ll|'d";

/** GPT-4's way, with at most `digits` digits to a word: Qwen 2 (1), Llama 3 (3). */
function modern(digits: 1 | 3): string {
  return (
    `(?:${contraction})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,${digits}}| ?[^${space}\\p{L}\\p{N}]+[\\r\\n]*|` +
    `${space}*[\\r\\n]+|${space}+(?!\\P{White_Space})|${space}+`
  );
}

const gpt2 =
  `(?:${gpt2Contraction})| ?\\p{L}+| ?\\p{N}+| ?[^${space}\\p{L}\\p{N}]+|` + `${space}+(?!\\P{White_Space})|${space}+`;

// Digits are cut off first, each on its own, and the rest is cut as by GPT-2: so spaces before a digit are a rest that ends
// there, and all of them stay together.
const digitsThenGpt2 =
  `\\p{N}|(?:${gpt2Contraction})| ?\\p{L}+| ?[^${space}\\p{L}\\p{N}]+|` + `${space}+(?![^${space}\\p{N}])|${space}+`;

const families: { names: string[]; pattern: string; ignoreMerges: boolean }[] = [
  {
    names: ["qwen2", "deepseek-r1-qwen", "kormo", "megrez", "stablelm2", "hunyuan"],
    pattern: modern(1),
    ignoreMerges: false,
  },
  {
    names: ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
    pattern: modern(3),
    ignoreMerges: true,
  },
  { names: ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], pattern: modern(3), ignoreMerges: false },
  {
    names: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
    pattern: digitsThenGpt2,
    ignoreMerges: false,
  },
  { names: ["gpt-2", "phi-2", "mpt", "olmo", "jais", "mellum", "exaone4"], pattern: gpt2, ignoreMerges: false },
];

const byName = new Map<string, PreTokenizer>();
for (const { names, pattern, ignoreMerges } of families)
  for (const name of names) byName.set(name, { pattern, ignoreMerges });

/** The way of cutting with this name, or undefined. */
export function findPreTokenizer(name: string): PreTokenizer | undefined {
  return byName.get(name);
}

/** The names that `findPreTokenizer` knows. */
export function preTokenizerNames(): string[] {
  return [...byName.keys()];
}
