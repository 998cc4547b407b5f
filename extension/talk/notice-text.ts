// notice-text.ts — words of others (a name, an error) for a message of the editor or a row of its lists. Pure.
//
// The editor makes links of `[words](address)` in its messages, commands among them, and icons of `$(name)` in its rows; a file's
// name or a question may look like either.

/** For messages. What is longer than `longest` loses its beginning: a path's end tells more. */
export function noticeText(text: string, longest = 200): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, "\ufffd").replace(/\[/g, "\uff3b");
  return line.length > longest ? `…${line.slice(1 - longest)}` : line;
}

/** For labels of lists, on one line. */
export function rowText(text: string): string {
  return text.replace(/\$\(/g, "$ (").replace(/\s+/g, " ");
}
