// names.ts — what package.json and the code call by the same name: commands, views, the panel's tab. A leaf.

/** Commands that need more of Quire than its start-up loads. */
export const commandNames = [
  "quire.ask",
  "quire.stop",
  "quire.newThread",
  "quire.openThread",
  "quire.exportThread",
  "quire.forgetThreads",
  "quire.openPanelInEditor",
  "quire.explain",
  "quire.explain.reply",
  "quire.explain.stop",
  "quire.explain.askAgain",
  "quire.explain.showInPanel",
  "quire.explain.close",
  "quire.showPlan",
  "quire.chooseModel",
  "quire.restartEngine",
  "quire.memories.show",
  "quire.memories.hide",
  "quire.memories.refresh",
  "quire.memories.pin",
  "quire.memories.unpin",
  "quire.memories.readAgain",
  "quire.memories.delete",
  "quire.memories.deleteAll",
] as const;

export type CommandName = (typeof commandNames)[number];

/** What a command does with what it is given: anything, since anyone may run it. */
export type Commands<Name extends CommandName = CommandName> = Record<Name, (given: unknown) => unknown>;

export const viewId = "quire.panel";
export const memoriesViewId = "quire.memories";
export const tabType = "quire.panelTab";
