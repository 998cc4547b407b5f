// blocks.ts — an answer's Markdown as top-level blocks, found while it streams: what is finished is never looked at again.
//
// In: a text that grows at its end. Out: blocks in order; all but the last few characters' worth are final. The result for a
// text does not depend on the pieces in which it came. A block without an end (a line of a megabyte) is cut into plain pieces.

export interface Block {
  source: string;
  /** Not Markdown: shown as it is. */
  plain: boolean;
}

/** Lines at which top-level blocks of a Markdown text begin, in order. */
export type FindStarts = (markdown: string) => number[];

/** A block longer than this is nobody's prose; parsing it again for each piece that arrives would stall the panel. */
export const longestBlock = 20_000;

export class BlockSplitter {
  private readonly findStarts: FindStarts;
  private finished: Block[] = [];
  /** Characters of the text that the finished blocks take. */
  private done = 0;
  private text = "";

  constructor(findStarts: FindStarts) {
    this.findStarts = findStarts;
  }

  /** All blocks of the text; cheap where it begins with the text of the call before. */
  split(text: string): Block[] {
    if (!text.startsWith(this.text)) {
      this.finished = [];
      this.done = 0;
    }
    this.text = text;
    while (this.finishOne()) {}
    const rest = text.slice(this.done);
    return rest.trim() === "" ? [...this.finished] : [...this.finished, { source: rest, plain: false }];
  }

  /** Moves what is final to the finished blocks. False: nothing more is. */
  private finishOne(): boolean {
    const tail = this.text.slice(this.done, this.done + longestBlock);
    const isCut = tail.length === longestBlock;
    // An unfinished line may still become anything: "#" is a heading, "#a" is not. One that is cut has become what it is.
    const end = tail.lastIndexOf("\n") + 1;
    const lines = isCut && end > 0 ? tail : tail.slice(0, end);
    const starts = lines === "" ? [] : this.findStarts(lines);
    const last = starts[starts.length - 1];
    if (last !== undefined && starts.length > 1) {
      this.finish(lines, starts);
      return true;
    }
    if (!isCut) return false;
    this.finished.push({ source: tail, plain: true });
    this.done += tail.length;
    return true;
  }

  private finish(lines: string, starts: readonly number[]): void {
    const offsets = lineOffsets(lines);
    const ends = starts.slice(1).map((line) => offsets[line] ?? lines.length);
    let from = 0;
    for (const end of ends) {
      this.finished.push({ source: lines.slice(from, end), plain: false });
      from = end;
    }
    this.done += from;
  }
}

function lineOffsets(text: string): number[] {
  const offsets = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) offsets.push(at + 1);
  return offsets;
}
