// index.d.ts — the whole surface of the native addon. addon/addon.cpp lists the same names in the same order.
//
// JavaScript holds handles, bytes stay native: what crosses is token ids, counts and options. Every rejected promise and
// thrown error carries `code` (one of engine/protocol.ts) and `where`. A call after dispose() throws "disposed"; a second
// long call on a memory while one runs throws "busy".

/** Raised with each change of this file that an older addon does not serve: the CUDA addon must be of the CPU addon's. */
export declare const surface: number;

/** One tensor as the GGUF header describes it. C++ checks it again against the file and the geometry. */
export interface TensorEntry {
  name: string;
  /** GGUF type number. */
  type: number;
  /** Dimensions in GGUF's order: columns first. */
  shape: number[];
  /** Byte offset from the beginning of the file. */
  offset: number;
}

export interface RopeScaling {
  /** YaRN (arXiv:2309.00071): how many times the trained length. 1 means none. */
  factor: number;
  /** Trained length in tokens. */
  originalContext: number;
}

/** What the engine must know of a model, from GGUF metadata. */
export interface Geometry {
  architecture: "llama" | "qwen2";
  layers: number;
  heads: number;
  kvHeads: number;
  headSize: number;
  embedding: number;
  feedForward: number;
  vocabulary: number;
  /** Trained context length in tokens. */
  context: number;
  normEpsilon: number;
  ropeBase: number;
}

export interface OpenOptions {
  path: string;
  geometry: Geometry;
  tensors: TensorEntry[];
  /** Threads of an op's loops; 0: one per physical core. */
  threads: number;
  /** "auto" or one of Machine.cpuBackends. */
  cpu: string;
}

export interface Machine {
  /** Backends that this processor can run, best first: "avx512-vnni", "avx2", "plain". */
  cpuBackends: string[];
  cpuName: string;
  cores: number;
  memoryBytes: number;
  availableBytes: number;
  /** Of the addon with the CUDA backend: the GPU it would use, or why it cannot (no driver, too old a driver, no GPU). */
  gpu?: { name: string; refusal: string; memoryBytes: number; freeBytes: number };
}

export interface MemoryOptions {
  /** Pages of 16 tokens that the memory can hold. */
  pages: number;
  summary: "mean-spread" | "min-max";
  rope: RopeScaling;
}

/** Where a document lies. */
export interface DocumentSpan {
  tokens: number;
  pages: number;
  /** Position of its first token. */
  position: number;
}

export interface Sampling {
  /** 0: greedy. */
  temperature: number;
  /** 0: off. */
  topK: number;
  topP: number;
  minP: number;
  /** 1: off; applied to the tokens of the answer so far. */
  repeatPenalty: number;
  seed: number;
}

export interface Selection {
  /** Tokens' worth of pages a KV head attends to; 0: dense. */
  pageBudget: number;
  vote: "softmax" | "max" | "per-head";
  /** c in mean + c·spread. */
  spreadFactor: number;
  sinkPages: number;
  recentPages: number;
  /** First layers that stay dense. */
  denseLayers: number;
  /** Runs score and select even where every page fits the budget. For tests. */
  force: boolean;
  /** Chooses pages but attends to all, and measures what the chosen ones would have captured. For benches. */
  observe: boolean;
}

export interface GenerateOptions {
  maxTokens: number;
  sampling: Sampling;
  selection: Selection;
  stopTokens: number[];
  /** Return the attention mass of each page, summed over layers, KV heads and tokens. */
  pageMass: boolean;
  /** Token ids of the answer, forced instead of sampled (teacher forcing); their log-probabilities come back. */
  forced?: Int32Array;
  /** With `forced`: also return the logits of every step. */
  logits?: boolean;
  /**
   * Token ids that the answer may copy from, in order: what follows its last tokens there is guessed and checked several tokens at once.
   * No bit of the answer depends on it. Absent: nothing is guessed; the GPU's backend never does.
   */
  draftFrom?: Int32Array;
}

export interface GenerateResult {
  tokens: Int32Array;
  stop: "stop-token" | "length" | "cancelled" | "full";
  seconds: number;
  /** Head's pages scored, chosen by selection, and attended to, over all layers, lists and steps. */
  pagesScored: number;
  pagesSelected: number;
  pagesAttended: number;
  /** Pages that dense attention would have attended to. */
  pagesTotal: number;
  /** Tokens guessed from `draftFrom`, and of these the ones that are part of the answer. */
  drafted: number;
  accepted: number;
  /** With `observe`: share of the attention probability on the chosen pages, mean over query heads, layers and steps. */
  capturedMass: number;
  /** [pages of the memory, in order of the list], or null. */
  pageMass: Float32Array | null;
  /** With `forced`: natural-log probability of each token; else empty. */
  logProbabilities: Float32Array;
  /** [steps, vocabulary], or null. */
  logits: Float32Array | null;
}

export interface ModelInfo {
  backend: string;
  threads: number;
  /** Bytes of packed weights. */
  weightBytes: number;
  /** Bytes of keys, values and summaries of one page. */
  pageBytes: number;
  /** Bytes on a GPU that reading and answering take besides weights and pages; 0 on the processor. */
  workBytes: number;
}

/** Which of a segment's tokens are wanted: from the beginning of a page to the end of one, or to the segment's. */
export interface SegmentPart {
  /** Tokens of the whole segment. */
  segmentTokens: number;
  /** First page of the part, within the segment. */
  page: number;
  /** Of the part's first token. */
  position: number;
}

export interface LoadOutcome {
  outcome: "loaded" | "absent" | "refused";
  /** Why it was refused. */
  reason: string;
}

/** Weights, read once and packed. */
export declare class Model {
  private constructor();
  readonly info: ModelInfo;
  dispose(): void;
}

/** An ordered list of documents on pages of their own. */
export declare class Memory {
  constructor(model: Model, options: MemoryOptions);
  /** Raised whenever the same tokens get other keys, values or summaries than before; saved documents of another one are void. */
  static readonly abi: number;
  readonly documents: DocumentSpan[];
  readonly tokens: number;
  readonly pages: number;
  readonly freePages: number;
  /**
   * Prefills one chunk at the end of the memory. `starts` holds the indices of `tokens` where a new document begins (on a page
   * of its own), ascending; tokens before the first start continue the last document. On failure or cancel the memory is as
   * before the call ("cancelled").
   *
   * `reading`: the chunk is read sparsely: the tokens of 4 pages of a document choose together, from the pages before them, which they
   * attend to, beside each other. Not per head, and `observe` must be off. The chunk must then begin at a multiple of 64 tokens of its
   * document; how it is cut beyond that changes no bit. Without it, and with a page budget of 0, every token attends to all before it.
   */
  append(tokens: Int32Array, starts: Int32Array, reading?: Selection): Promise<void>;
  /** Drops the documents from index `count` on, and of the last kept one the tokens from `tokens` on, if given. */
  truncate(count: number, tokens?: number): void;
  /** Cuts document `index` in two before its page `page` (0 < page < its pages). No byte moves. */
  split(index: number, page: number): void;
  /** Takes the documents from `first` on out of the list until bringBack: what is appended meanwhile does not see them. */
  setAside(first: number): void;
  /** Puts what was set aside back at the end, at the positions that it was encoded at. */
  bringBack(): void;
  /** Drops `count` documents from `first` on; those behind them stay as they are. */
  drop(first: number, count: number): void;
  /**
   * Decodes after the last token appended. The tokens of the answer continue the last document; all that are returned are part
   * of the memory, a stop token is neither. A token handed out when the call was cancelled may be missing from the result.
   */
  generate(options: GenerateOptions, onTokens: (tokens: Int32Array) => void): Promise<GenerateResult>;
  /** Like append, and returns the logits after each token: [tokens, vocabulary]. */
  appendWithLogits(tokens: Int32Array, starts: Int32Array, reading?: Selection): Promise<Float32Array>;
  /**
   * Writes document `index`, whose token ids are `tokens`, to `file` (docs/memory-format.md); resolves with its bytes. They are not on
   * the disk yet: flushing and naming is the caller's. `name`: 64 hex digits of a hash of everything that its keys depend on. Rejects
   * with "disk-full", "internal", "cancelled"; then no file is left.
   */
  saveDocument(index: number, tokens: Int32Array, name: string, file: string): Promise<number>;
  /**
   * Appends a part of the segment in `file` as a document, if it is the segment of this name, the part holds these tokens at this
   * position, and every byte of it checks; else the memory is as before the call. An append must follow before generate.
   */
  loadDocument(tokens: Int32Array, name: string, file: string, part: SegmentPart): Promise<LoadOutcome>;
  /** Stops the call under way at the next task of an op; it rejects with or reports "cancelled". */
  cancel(): void;
  /** 64-bit digest, in hex, of the bits of all keys, values and summaries in list order. For tests. */
  digest(): string;
  dispose(): void;
}

export declare function machine(): Machine;
export declare function openModel(options: OpenOptions): Promise<Model>;
