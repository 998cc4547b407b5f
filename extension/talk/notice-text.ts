// notice-text.ts — a name or an error's words for a message of the editor. The editor makes links of `[words](address)` in its
// messages, commands among them, and a file's name may look like one. Pure.

const longest = 200;

export function noticeText(text: string): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, "\ufffd").replace(/\[/g, "\uff3b");
  return line.length > longest ? `…${line.slice(1 - longest)}` : line;
}
