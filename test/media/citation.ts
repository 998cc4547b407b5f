// citation.ts — citations for tests, with what does not matter filled in.
import type { PanelCitation } from "../../media/messages.ts";

export function cited(index: number, path: string, line: number, changes: Partial<PanelCitation> = {}): PanelCitation {
  return { index, path, line, text: "", verified: index > 0, choices: [], ...changes };
}
