// protocol.ts — every message between the engine process and its clients (the CLI, the extension), JSON-RPC over a socket or stdio.
//
// A leaf: imports nothing. Requests go from client to engine and may be cancelled with JSON-RPC's own cancellation; events go
// from engine to client. Failures are JSON-RPC errors whose data is `Failure`. Both sides check `protocolVersion` first.

/** Raised with every change that an older client would misunderstand. */
export const protocolVersion = 3;

/** JSON-RPC's error code for every failure of ours; outside the reserved range. What went wrong is in `data`. */
export const failureCode = 1;

export interface Failure {
  /** One of engine/errors.ts. */
  code: string;
  message: string;
  where?: string;
  nextStep: string;
}

/** Names of the requests and events, one list. */
export const methods = {
  /** client → engine, first: agree on the version. InitializeParams → EngineInfo. */
  initialize: "initialize",
  /** client → engine: answer a question about a workspace. AskParams → AskResult; ReadEvents and TokenEvents meanwhile. */
  ask: "ask",
  /** client → engine: what would be read. MapParams → MapResult. */
  map: "map",
  /**
   * client → engine: bring what is in memory in step with changed files while nobody asks. MapParams → FollowResult. Reads nothing that
   * is not in memory already; a question stops it.
   */
  follow: "follow",
  /** client → engine: the catalog with what is on disk. → ModelRow[]. */
  listModels: "models/list",
  /** client → engine: ModelParams → ModelRow; FetchEvents meanwhile. */
  fetchModel: "models/fetch",
  /** client → engine: hash the file again. ModelParams → ModelRow. */
  verifyModel: "models/verify",
  /** client → engine: ModelParams → null. */
  removeModel: "models/remove",
  /** client → engine: what was read and is kept on disk. → MemoryList. */
  listMemories: "memories/list",
  /** client → engine: delete one; what other memories share stays. MemoryParams → RemovedMemory. */
  removeMemory: "memories/remove",
  /** client → engine: let it go last, or no longer, when the disk space for memories is full. PinParams → null. */
  pinMemory: "memories/pin",
  /** client → engine: delete all that it was made of; the next question reads its workspace again. MemoryParams → RemovedMemory. */
  readMemoryAgain: "memories/read-again",
  /** client → engine: delete everything that was read, token ids included. → RemovedMemory. */
  removeMemories: "memories/remove-all",
  /** client → engine: what this machine has and what is missing. → DoctorReport. */
  doctor: "doctor",
  /** client → engine: who uses this engine, and what it holds. → EngineStatus. */
  status: "engine/status",
  /** client → engine: end, for all clients; each hears of it by LeavingEvent. → null. */
  stop: "engine/stop",
  /** engine → client: it ends, or the client must go; what runs is lost. LeavingEvent. */
  leaving: "leaving",
  /** engine → client: what will be read for an ask, before anything is. PlannedEvent. */
  planned: "planned",
  /** engine → client: a stage of an ask or a map began or went on. */
  stage: "stage",
  /** engine → client: text of the answer. */
  text: "text",
  /** engine → client: a model is being fetched. */
  fetching: "fetching",
  /** engine → client: a sentence the user should see (a mirror is used, a budget was chosen). */
  notice: "notice",
  /** engine → client: a line for the log. LogEvent. */
  log: "log",
} as const;

export interface InitializeParams {
  protocolVersion: number;
  client: string;
  /** Minutes that a shared engine stays after this client, if it is the last. Absent: as if this client had not come. */
  keepMinutes?: number;
}

export interface EngineInfo {
  protocolVersion: number;
  engineVersion: string;
  pid: number;
}

export interface EngineStatus {
  engineVersion: string;
  pid: number;
  /** False: of one client alone, on its standard input. */
  shared: boolean;
  upSeconds: number;
  /** As they named themselves. */
  clients: { name: string; connectedSeconds: number }[];
  /** Questions and plans that run or wait. */
  questions: number;
  models: { name: string; backend: string; bytes: number }[];
  /** What is held of which folders. */
  memories: { roots: string[]; model: string; tokens: number; bytes: number }[];
}

export interface LeavingEvent {
  /** Why, in a sentence. */
  message: string;
}

export interface WorkspaceFolder {
  /** Shown before paths when there are several folders. */
  name: string;
  /** Absolute path. */
  root: string;
  /** Patterns of this folder alone, besides the workspace's. */
  include?: string[];
  exclude?: string[];
  /** Pattern → how much of the files that match it is read, whatever their worth; the last one that matches counts. */
  details?: Record<string, Detail>;
  /** True: files that git ignores are read too. */
  ignored?: boolean;
  /** True: the files of git submodules are read too. */
  submodules?: boolean;
}

export interface Workspace {
  folders: WorkspaceFolder[];
  include: string[];
  exclude: string[];
  /** False: no git is run in it. */
  trusted: boolean;
  /** Open editors that differ from the disk: their text counts. Nothing of it is written to disk. */
  unsaved: UnsavedFile[];
}

export interface UnsavedFile {
  /** Absolute path. */
  path: string;
  text: string;
}

export interface SamplingParams {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repeatPenalty: number;
  seed: number;
}

/** How pages are chosen; defaults are the engine's. */
export interface SelectionParams {
  /** Tokens' worth of pages a KV head attends to in a step, or dense. */
  pageBudget: number | "dense";
  summary: "mean-spread" | "min-max";
  vote: "softmax" | "max" | "per-head";
  denseLayers: number;
  /** Tokens' worth of pages that a block of tokens attends to while the repository is read, or dense. Absent: dense. */
  readingBudget?: number | "dense";
}

export interface EngineSettings {
  /** A name of the catalog, a path to a .gguf file, or "auto". */
  model: string;
  /** Tokens of the repository to read. */
  tokenBudget: number | "auto";
  selection: SelectionParams;
  /** Dense attention everywhere. */
  exact: boolean;
  /** Threads; 0: one per core. */
  threads: number;
  /** "auto" or a CPU backend's name. */
  cpu: string;
  /** "auto": a GPU where there is one that works; "cuda": that or a failure. Absent: "auto". */
  backend?: "auto" | "cpu" | "cuda";
}

/** Code that a question is about, as it stands in the editor. */
export interface SelectedCode {
  /** Absolute path. */
  path: string;
  /** 1-based, both inside. */
  startLine: number;
  endLine: number;
  text: string;
}

/** An earlier question of a thread with its answer, as the model wrote it. */
export interface Turn {
  question: string;
  selection?: SelectedCode;
  answer: string;
}

export interface AskParams {
  /** Given back in the events of this ask. */
  id: string;
  workspace: Workspace;
  settings: EngineSettings;
  question: string;
  /** The question is about this code; absent: about the workspace. */
  selection?: SelectedCode;
  /** Which thread this question belongs to and what was said in it, oldest first. The repository is not read again for it. */
  thread: { id: string; turns: Turn[] };
  /** Read the workspace again, whatever is kept of it. */
  fresh: boolean;
  /** False: a model that is not on disk is not fetched; the failure is "model-missing" with its name as `where`. Absent: true. */
  mayFetch?: boolean;
  /** Most tokens of the answer. */
  maxTokens: number;
  sampling: SamplingParams;
}

export type Detail = "full" | "outline" | "name" | "off";

export interface DocumentRow {
  path: string;
  detail: Detail;
  tokens: number;
}

export interface LeftOutRow {
  path: string;
  reason: string;
  detail?: string;
}

export interface Citation {
  /** The number of its marker in the answer. */
  index: number;
  path: string;
  /** 1-based; 0 for a whole file. */
  line: number;
  /** That line as it was read; where it is not verified, what the answer says. */
  text: string;
  /** The text stands there. */
  verified: boolean;
  /** Other places that fit as well. */
  choices: { path: string; line: number }[];
}

export interface LookedUp {
  path: string;
  startLine: number;
  endLine: number;
  tokens: number;
  why: string;
}

export interface AskStats {
  /** Tokens that the answer's first token could see. */
  promptTokens: number;
  /** Of these, tokens that were in memory already. */
  reusedTokens: number;
  prefilledTokens: number;
  /** Tokens in memory that were encoded in place, for edits since the repository was read. */
  patchedTokens: number;
  prefillSeconds: number;
  decodedTokens: number;
  /** Tokens guessed from what was read, and of these the ones that the answer has: they came several at once. */
  draftedTokens: number;
  acceptedTokens: number;
  decodeTokensPerSecond: number;
  /** From the request to the first token of the answer. */
  timeToFirstTokenMs: number;
  /** Head's pages over all layers, KV heads and steps. */
  pagesScored: number;
  pagesSelected: number;
  pagesAttended: number;
  pagesTotal: number;
  backend: string;
}

/** Which state of the repository an answer read. */
export interface RepositoryState {
  /** Folders at a commit; empty without git, or where it may not be run. */
  folders: FolderState[];
  /** Files of which an editor's unsaved text was read. */
  unsavedFiles: number;
  /** "edited in place": files changed since the memory was read, and what changed was encoded at its place. */
  reading: "whole" | "edited in place";
}

export interface FolderState {
  folder: string;
  /** Hash, shortened. */
  commit: string;
  /** "": on none. */
  branch: string;
  /** Of the files read, how many are not as in the commit. */
  changedFiles: number;
}

export interface AskResult {
  question: string;
  model: string;
  /** What is said first, e.g. that a named file is not in memory; streamed before the answer. Empty: nothing. */
  preface: string;
  answer: string;
  /** The answer with [n] markers after what is cited. */
  marked: string;
  /** Why it ends; "repeats": it had begun to repeat itself, and is cut where it did. */
  stop: "stop-token" | "length" | "cancelled" | "full" | "repeats";
  citations: Citation[];
  documents: DocumentRow[];
  leftOut: LeftOutRow[];
  lookedUp: LookedUp[];
  tokenBudget: number;
  /** How the budget came about, in a sentence. */
  budgetReason: string;
  /** What the context holds after this answer. */
  meter: Meter;
  /** Files by attention mass of the pages loaded for this answer, most first. */
  loaded: { path: string; share: number }[];
  state: RepositoryState;
  stats: AskStats;
}

/** Tokens: of the repository, of the thread's questions and answers, and what fits besides. */
export interface Meter {
  memoryTokens: number;
  threadTokens: number;
  freeTokens: number;
}

/** What an ask will read, said before it is read. */
export interface PlannedEvent {
  id: string;
  model: string;
  tokenBudget: number;
  budgetReason: string;
  usedTokens: number;
  documents: DocumentRow[];
  leftOut: LeftOutRow[];
}

export interface LogEvent {
  level: "debug" | "info" | "warn" | "error";
  message: string;
}

export interface MapParams {
  id: string;
  workspace: Workspace;
  settings: EngineSettings;
  /** As for an ask. */
  mayFetch?: boolean;
}

export interface FollowResult {
  /** Tokens encoded in place; 0 where nothing is in memory, nothing changed, or too much did. */
  encodedTokens: number;
  seconds: number;
}

export interface MapResult {
  model: string;
  documents: DocumentRow[];
  leftOut: LeftOutRow[];
  tokenBudget: number;
  /** How the budget came about, in a sentence. */
  budgetReason: string;
  usedTokens: number;
  memoryBytes: number;
}

export interface ModelParams {
  name: string;
}

export interface ModelRow {
  name: string;
  title: string;
  licence: string;
  bytes: number;
  context: number;
  state: "present" | "partial" | "missing" | "corrupt";
  path: string;
  bytesOnDisk: number;
}

/** A workspace's memory for one model and way of reading; or what lies beside such memories and belongs to none. */
export interface MemoryRow {
  /** Of the requests about it; nobody's path. */
  id: string;
  /** "rest": parts of readings that were cut off, and of states that are no longer known. */
  kind: "memory" | "rest";
  /** Absolute paths of its folders; none: a rest. */
  workspace: string[];
  /** Empty: not known. */
  model: string;
  backend: string;
  /** Of the state that was used last, as far as it is on disk. */
  tokens: number;
  /** Of these, encoded in place for edits since it was read. */
  patchedTokens: number;
  /** States that are kept, as of branches. */
  states: number;
  bytes: number;
  /** What deleting it frees: parts that others share stay. */
  ownBytes: number;
  /** Milliseconds since 1970. */
  firstReadMs: number;
  lastUsedMs: number;
  /** It goes last when space is short. */
  pinned: boolean;
}

export interface MemoryList {
  /** Where they lie. */
  folder: string;
  /** Of all files there. */
  bytes: number;
  /** What they may take together; 0: nothing is kept. */
  capBytes: number;
  /** Last used first. */
  rows: MemoryRow[];
}

export interface MemoryParams {
  id: string;
}

export interface PinParams {
  id: string;
  pinned: boolean;
}

export interface RemovedMemory {
  freedBytes: number;
  /** Files that could not be deleted, with the reason of the first; 0: all were. */
  refusedFiles: number;
  refused: string;
}

export interface DoctorReport {
  engineVersion: string;
  node: string;
  platform: string;
  cpu: string;
  cores: number;
  memoryBytes: number;
  availableBytes: number;
  backends: { name: string; usable: boolean; reason: string }[];
  tools: { name: string; found: boolean; detail: string; need: string }[];
  folder: string;
  models: ModelRow[];
  /** What keeps a question from being answered; empty: nothing. */
  missing: string[];
}

/** What the engine is doing, for progress. Reading counts tokens; the other stages have no count. */
export type StageEvent = {
  id: string;
} /** The engine answers other questions first: how many, those of other clients too. Said again when one fewer does. */ & (
  | { stage: "waiting"; ahead: number }
  | { stage: "collecting" | "planning" | "opening model" | "tokenizing" | "looking up" | "answering" }
  | { stage: "reading"; done: number; total: number; tokensPerSecond: number; secondsLeft: number }
  | { stage: "reading question"; done: number; total: number; tokensPerSecond: number; secondsLeft: number }
);

export interface TextEvent {
  id: string;
  text: string;
}

export interface FetchEvent {
  name: string;
  source: string;
  bytesDone: number;
  bytesTotal: number;
  bytesPerSecond: number;
  /** null before anything arrived. */
  secondsLeft: number | null;
}

export interface NoticeEvent {
  message: string;
}
