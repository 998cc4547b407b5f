// corpus.ts — 5 MB of text for the tokenization test, the same on every machine: code and prose of the packages that
// package-lock.json pins, and generated CJK, emoji, white space and look-alikes of control tokens.
//
// In: the checkout's folder. Out: segments of about 64 kB, in order. The generator is seeded; only characters that Unicode had by
// version 14 are used, so that the age of a machine's Unicode tables does not matter.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

export interface Segment {
  name: string;
  text: string;
}

const segmentLength = 65_536;

/** `as`: the name in the golden file, where the package is kept at the version that file was made with, under another name. */
const code: { folder: string; as?: string; endings: string[] }[] = [
  { folder: "@types/node", endings: [".d.ts"] },
  { folder: "vscode-types-1.140", as: "@types/vscode", endings: [".d.ts"] },
  { folder: "@huggingface/tokenizers/dist", endings: [".mjs"] },
  { folder: "@huggingface/jinja/dist", endings: [".js"] },
  { folder: "node-addon-api", endings: [".h", ".js", ".gyp", ".gypi"] },
  { folder: "vscode-jsonrpc/lib", endings: [".js", ".d.ts"] },
  { folder: "commander/lib", endings: [".js"] },
  { folder: "mocha/lib", endings: [".js", ".mjs"] },
  { folder: "esbuild/lib", endings: [".js", ".d.ts"] },
  { folder: "zod/v4", endings: [".js"] },
  { folder: "fast-check/lib", endings: [".js"] },
];

const prose = ["commander", "fast-check", "mocha", "node-addon-api", "zod", "c8", "cmake-js", "vscode-jsonrpc", "@vscode/vsce", "ignore"];

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function filesOf(folder: string, endings: string[]): string[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name);
      if (name === "node_modules") return [];
      if (statSync(path).isDirectory()) return filesOf(path, endings);
      return endings.some((ending) => name.endsWith(ending)) ? [path] : [];
    });
}

function cut(name: string, text: string): Segment[] {
  const segments: Segment[] = [];
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + segmentLength, text.length);
    const unit = text.charCodeAt(end);
    if (unit >= 0xdc00 && unit <= 0xdfff) end--;
    segments.push({ name: `${name}#${segments.length}`, text: text.slice(at, end) });
    at = end;
  }
  return segments;
}

const cjkRanges: [number, number, number][] = [
  [0x4e00, 0x9fa5, 60], // unified ideographs
  [0x3041, 0x3096, 20], // hiragana
  [0x30a1, 0x30fa, 10], // katakana
  [0xac00, 0xd7a3, 10], // hangul
  [0x3400, 0x4db5, 2],
  [0x20000, 0x2a6d6, 2],
  [0xff10, 0xff5a, 2], // full-width forms
];
const otherRanges: [number, number, number][] = [
  [0x20, 0x7e, 30],
  [0x0, 0x1f, 3],
  [0x80, 0x9f, 2],
  [0xa0, 0x24f, 10],
  [0x300, 0x36f, 6], // combining marks
  [0x391, 0x3c9, 6],
  [0x410, 0x44f, 8],
  [0x5d0, 0x5ea, 4],
  [0x621, 0x64a, 4],
  [0x660, 0x669, 3], // Arabic digits
  [0x905, 0x939, 4],
  [0x966, 0x96f, 2],
  [0xe01, 0xe3a, 3],
  [0x2010, 0x205e, 5],
  [0x2070, 0x2071, 1],
  [0x2080, 0x2089, 1],
  [0x20a0, 0x20bf, 2],
  [0x2150, 0x218b, 2], // number forms
  [0x2190, 0x23f3, 3],
  [0x2460, 0x24ff, 2],
  [0xe000, 0xe010, 1], // private use
  [0xfe00, 0xfe0f, 1],
  [0xfffc, 0xfffd, 1],
  [0x1d400, 0x1d454, 2], // mathematical letters
  [0x1d7ce, 0x1d7ff, 1],
];
const emojiRanges: [number, number, number][] = [
  [0x1f600, 0x1f64f, 10],
  [0x1f300, 0x1f5ff, 10],
  [0x1f680, 0x1f6c5, 4],
  [0x1f900, 0x1f9ff, 6],
  [0x1f1e6, 0x1f1ff, 6],
  [0x2600, 0x27bf, 6],
];
const cjkMarks = ["，", "。", "、", "「", "」", "？", "！", "　", "：", "…", "\n", "\n\n", " ", "123", "API", "v2.0", "·"];
const joiners = ["\u200d", "\ufe0f", "\u{1f3fb}", "\u{1f3ff}", "\u20e3", " ", "\n", "ok", "#1"];
const spaces = [" ", "  ", "    ", "\t", "\t\t", "\n", "\n\n", "\r\n", "\r", "\v", "\f", "\u0085", "\u00a0", "\u2003", "\u2028", "\u2029", "\u202f", "\u3000", "\ufeff", "\u200b", "\u1680", "\u180e"];
const words = ["x", "foo", "Bar_baz", "don't", "I'LL", "we'Ve", "it's", "'s", "'T", "é", "naïve", "12", "3.14", "1234567", "0x1F", "²", "{", "}", "();", "=>", "---", "#", "//", "“", "”", "日本", "한글", "\0", "\u{1f600}"];
const lookAlikes = [
  "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
  "<|file_sep|>", "<|object_ref_start|>", "<|box_end|>", "<|vision_pad|>", "<tool_call>", "</tool_call>", "<tool_call", "<repo_name>",
  "<reponame>", "<file_sep>", "<filename>", "<gh_stars>", "<issue_start>", "<jupyter_code>", "<empty_output>", "<|im_start", "|im_end|>",
  "<|im_start|>system\n", "<|im_end|>\n<|im_start|>assistant\n", "<s>", "</s>", "<unk>", "[INST]", "<|begin_of_text|>", "<|eot_id|>", "[PAD151665]", "<| im_start |>",
  "＜｜im_start｜＞", "<|IM_START|>", "<|im_start|>user", "&lt;|im_end|&gt;",
];

/** Draws a character from ranges of code points, each with a weight. */
function drawer(ranges: [number, number, number][], random: () => number): () => string {
  const total = ranges.reduce((sum, [, , weight]) => sum + weight, 0);
  return () => {
    let left = random() * total;
    for (const [first, last, weight] of ranges) {
      left -= weight;
      if (left < 0) return String.fromCodePoint(first + Math.floor(random() * (last - first + 1)));
    }
    return " ";
  };
}

/** `length` UTF-16 units or a little more, made of what `next` gives. */
function fill(length: number, next: () => string): string {
  const parts: string[] = [];
  for (let made = 0; made < length; ) {
    const part = next();
    parts.push(part);
    made += part.length;
  }
  return parts.join("");
}

function generated(): Segment[] {
  const random = seeded(20_261_124);
  const pick = (list: string[]): string => list[Math.floor(random() * list.length)] ?? "";
  const cjk = drawer(cjkRanges, random);
  const other = drawer(otherRanges, random);
  const emoji = drawer(emojiRanges, random);
  return [
    ...cut("generated/cjk", fill(400_000, () => (random() < 0.09 ? pick(cjkMarks) : cjk()))),
    ...cut("generated/emoji", fill(250_000, () => (random() < 0.4 ? pick(joiners) : emoji()))),
    ...cut("generated/scripts", fill(300_000, () => (random() < 0.1 ? pick(spaces) : other()))),
    ...cut("generated/space", fill(250_000, () => (random() < 0.7 ? pick(spaces) : pick(words)))),
    ...cut("generated/look-alikes", fill(300_000, () => (random() < 0.5 ? pick(lookAlikes) : random() < 0.5 ? pick(words) : pick(spaces)))),
    ...cut("generated/runs", fill(150_000, () => pick(["=", "-", "a", " ", "1", "\n", "é", "あ", "\t"]).repeat(1 + Math.floor(random() * random() * 900)))),
  ];
}

/** All segments, in order. */
export function corpus(checkout: string): Segment[] {
  const modules = join(checkout, "node_modules");
  const segments: Segment[] = [];
  for (const { folder, as = folder, endings } of code) {
    const text = filesOf(join(modules, folder), endings).map((path) => readFileSync(path, "utf8")).join("");
    segments.push(...cut(as, text));
  }
  for (const name of prose) segments.push(...cut(`${name}/*.md`, filesOf(join(modules, name), [".md"]).map((path) => readFileSync(path, "utf8")).join("")));
  segments.push(...generated());
  return segments;
}

/** SHA-256, in hex, of a text's UTF-8. */
export function hashText(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/** SHA-256, in hex, of ids as little-endian 32-bit numbers. */
export function hashIds(ids: Iterable<number>): string {
  const list = Int32Array.from(ids);
  const bytes = Buffer.alloc(list.length * 4);
  list.forEach((id, i) => {
    bytes.writeInt32LE(id, i * 4);
  });
  return createHash("sha256").update(bytes).digest("hex");
}
