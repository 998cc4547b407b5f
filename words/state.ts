// state.ts — which state of the repository an answer read, as people read it: a badge, a sentence, and what changed since.
//
// In: the state of an answer. Out: short English text, the same in the panel, in the terminal and for a screen reader. Pure.

import type { PanelAnswer } from "../media/messages.ts";
import { counted, openly } from "./figures.ts";

type State = NonNullable<PanelAnswer["state"]>;

/** Files named before the rest is counted. */
const mostNamed = 3;

/** "Read at 1a2b3c4d5 (main) · 2 files changed since that commit · 1 unsaved editor included · edited in place". */
export function stateBadge(state: State): string {
  return [placeText(state), ...changes(state), readingText(state)].join(" · ");
}

/** The same as a sentence to listen to. */
export function stateSentence(state: State): string {
  const changed = changes(state);
  const more = changed.length === 0 ? "" : `, ${changed.join(", ")}`;
  return `This answer read the files ${spoken(state)}${more}; ${
    state.reading === "whole" ? "everything was read whole" : "what was edited since was encoded at its place"
  }.`;
}

/** "Changed since this answer: src/a.ts, src/b.ts and 2 more."; nothing for no files. */
export function sinceText(paths: readonly string[]): string {
  if (paths.length === 0) return "";
  const named = paths.slice(0, mostNamed).map(openly).join(", ");
  const more = paths.length - mostNamed;
  return `Changed since this answer: ${named}${more > 0 ? ` and ${more} more` : ""}.`;
}

function placeText({ folders }: State): string {
  if (folders.length === 0) return "Read as the files were";
  const several = folders.length > 1;
  const places = folders.map(({ folder, commit, branch }) => {
    const at = branch === "" ? commit : `${commit} (${openly(branch)})`;
    return several ? `${openly(folder)} ${at}` : at;
  });
  return `Read at ${places.join(", ")}`;
}

function spoken({ folders }: State): string {
  if (folders.length === 0) return "as they were when it was asked";
  const places = folders.map(({ folder, commit, branch }) => {
    const at = branch === "" ? `commit ${commit}` : `commit ${commit} of branch ${openly(branch)}`;
    return folders.length > 1 ? `${at} in ${openly(folder)}` : at;
  });
  return `at ${places.join(" and ")}`;
}

function changes({ folders, unsavedFiles }: State): string[] {
  const changed = folders.reduce((sum, { changedFiles }) => sum + changedFiles, 0);
  return [
    ...(changed > 0
      ? [`${counted(changed, "file")} changed since ${folders.length > 1 ? "these commits" : "that commit"}`]
      : []),
    ...(unsavedFiles > 0 ? [`${counted(unsavedFiles, "unsaved editor")} included`] : []),
  ];
}

function readingText({ reading }: State): string {
  return reading === "whole" ? "read whole" : "edited in place";
}
