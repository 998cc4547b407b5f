// main.ts — the extension's entry: wires commands, views and the engine process together. Decides nothing.

export function activate(): void {}
