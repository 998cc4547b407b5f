// manifest.ts — the file that says which saved pages make up a memory, in order (docs/memory-format.md).
//
// In: documents with their pieces. Out: text with a checksum, and back, or undefined on any doubt: then the memory is read again. It holds
// paths and numbers, no text of a file and no token id. A manifest promises nothing: every byte it names is checked when it is loaded.

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";

/** Raised with every change of what a manifest says. */
export const manifestVersion = 1;
export const manifestEnding = ".memory";
/** Nobody's memory has so many documents or tokens; a file that says so is refused before it costs anything. */
const mostDocuments = 1_000_000;
const mostTokens = 2 ** 30;
const mostBytes = 256e6;

const count = z.int().min(0).max(mostTokens);
const name = z.string().regex(/^[0-9a-f]{64}$/);

const pieceSchema = z.strictObject({
  /** The segment that holds it, how many tokens that has, and the piece's first page in it. */
  segment: name,
  segmentTokens: count.min(1),
  page: count,
  tokens: count.min(1),
  /** Of its first token in the memory. */
  position: count,
});

const documentSchema = z.strictObject({
  path: z.string().max(65_536),
  /** identity.ts documentHash. */
  hash: name,
  pieces: z.array(pieceSchema).min(1).max(mostDocuments),
});

const headerSchema = z.strictObject({
  quire: z.literal("memory"),
  version: z.literal(manifestVersion),
  /** Memory.abi of the addon that computed the pages. */
  abi: count,
  /** identity.ts rootName. */
  root: name,
  /** Folders of the workspace, in order. */
  workspace: z.array(z.string().max(65_536)).max(1000),
  /** The model's name, for people. */
  model: z.string().max(1000),
  /** Tokens encoded in place since the documents were read: 0, and all is as if read just now. */
  patchedTokens: count,
  documents: z.int().min(0).max(mostDocuments),
});

export type ManifestPiece = z.infer<typeof pieceSchema>;
export type ManifestDocument = z.infer<typeof documentSchema>;
export type Manifest = Omit<z.infer<typeof headerSchema>, "quire" | "version" | "documents"> & {
  documents: ManifestDocument[];
};

/** A JSON line that says what it is, one for each document, and a line with the SHA-256 of all before it. */
export function writeManifest({ documents, ...header }: Manifest): string {
  const first = { quire: "memory", version: manifestVersion, ...header, documents: documents.length };
  const body = [first, ...documents].map((line) => `${JSON.stringify(line)}\n`).join("");
  return `${body}sha256 ${digest(body)}\n`;
}

/** Undefined unless it is whole, of this version, and every number in it possible. */
export function parseManifest(text: string): Manifest | undefined {
  const end = /(?<=\n)sha256 ([0-9a-f]{64})\n$/.exec(text);
  if (end === null) return undefined;
  const body = text.slice(0, end.index);
  if (digest(body) !== end[1]) return undefined;
  try {
    const [first = "", ...lines] = body.trimEnd().split("\n");
    const { quire: _, version: __, documents: promised, ...header } = headerSchema.parse(JSON.parse(first));
    if (lines.length !== promised) return undefined;
    const documents = lines.map((line) => documentSchema.parse(JSON.parse(line)));
    if (!documents.every(({ pieces }) => pieces.every(isPart)) || tokensIn(documents) > mostTokens) return undefined;
    return { ...header, documents };
  } catch {
    return undefined;
  }
}

/** Undefined where there is none, or none that can be believed. */
export async function readManifest(file: string): Promise<Manifest | undefined> {
  const bytes = await readFile(file).catch(() => undefined);
  return bytes === undefined || bytes.length > mostBytes ? undefined : parseManifest(bytes.toString("utf8"));
}

/** Files of the manifests in a memory's folder; `beginning` of their names. */
export async function manifestsIn(folder: string, beginning = ""): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((one) => one.startsWith(beginning) && one.endsWith(manifestEnding))
    .map((one) => path.join(folder, one));
}

/** What the manifests of a workspace begin with. */
export function workspaceName(workspace: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(workspace)).digest("hex").slice(0, 16);
}

/** A part of a segment ends with one of its pages or with the segment. */
function isPart({ segmentTokens, page, tokens, position }: ManifestPiece): boolean {
  const until = page * 16 + tokens;
  return until <= segmentTokens && (until === segmentTokens || tokens % 16 === 0) && position >= page * 16;
}

function tokensIn(documents: readonly ManifestDocument[]): number {
  return documents.reduce((sum, { pieces }) => pieces.reduce((inner, { tokens }) => inner + tokens, sum), 0);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
