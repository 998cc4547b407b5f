// main.ts — the panel's entry in the webview. Wires the view to the host's messages.

export {};
