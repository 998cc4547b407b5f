// workspace-key.ts — when two clients mean the same workspace: the same folders, read by the same rules, equally trusted. Pure.

import type { Workspace } from "./protocol.ts";

/** The same text for the same workspace. What editors hold is not in it: it changes with every key that is pressed. */
export function workspaceKey({ folders, include, exclude, trusted }: Workspace): string {
  const named = folders.map(({ name, root, ...rules }) => ({
    // One folder alone is nowhere called by its name.
    ...(folders.length > 1 ? { name } : {}),
    root: root.replace(/(?<=.)[\\/]+$/, ""),
    ...Object.fromEntries(Object.entries(rules).filter(([, value]) => !saysNothing(value))),
  }));
  return JSON.stringify({ folders: named, include, exclude, trusted });
}

export const rootsOf = ({ folders }: Workspace): string[] => folders.map(({ root }) => root);

function saysNothing(value: unknown): boolean {
  return value === undefined || value === false || (typeof value === "object" && Object.keys(value ?? {}).length === 0);
}
