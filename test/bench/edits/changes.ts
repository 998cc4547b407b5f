// changes.ts — edits of our own between the commits: numbers that get another value, lines added to functions. Pure.
//
// Commits seldom change a value that a question can ask for; these do, so that an old value could be given. They are kept as editors'
// unsaved texts over what is checked out, as the product takes them.

import { escapePattern } from "../../../engine/escape-pattern.ts";

export interface Change {
  path: string;
  name: string;
  from: string;
  to: string;
}

const constant = /^\s*(?:export )?const (\w{4,})(?:: \w+)? = (\d[\d_.]*);$/gm;

/** Numbers of a file that have a name which is given a value once. */
export function constantsOf(path: string, text: string): Omit<Change, "to">[] {
  const all = [...text.matchAll(constant)];
  return all
    .filter((match) => all.filter((other) => other[1] === match[1]).length === 1)
    .map(([, name, value]) => ({ path, name: name ?? "", from: value ?? "" }));
}

/** Another number that looks the same. */
export function otherNumber(value: string, shift: number): string {
  return value.replace(/\d/g, (digit, at: number) => {
    const next = (Number(digit) + shift) % 10;
    return String(at === 0 && next === 0 ? 1 + (shift % 8) : next);
  });
}

/** The text with these changes; one whose place is gone changes nothing. */
export function applyChanges(text: string, changes: readonly Change[]): string {
  return changes.reduce((now, { name, from, to }) => {
    const place = new RegExp(String.raw`^(\s*(?:export )?const ${name}(?:: \w+)? = )${escapePattern(from)};$`, "m");
    return now.replace(place, `$1${to};`);
  }, text);
}

/** The text with a statement more at the beginning of its `nth` function, and on every second turn a new function behind it all. */
export function editFunction(text: string, nth: number, turn: number): string | undefined {
  const heads = [...text.matchAll(/^(?:export )?(?:async )?function \w+\([^\n]*\{$/gm)];
  const head = heads[nth % Math.max(1, heads.length)];
  if (head === undefined) return undefined;
  const at = head.index + head[0].length;
  const edited = `${text.slice(0, at)}\n  const step${turn} = ${turn * 37 + 11};${text.slice(at)}`;
  return turn % 2 === 0 ? edited : `${edited}\nfunction added${turn}(): number {\n  return ${turn * 13 + 7};\n}\n`;
}
