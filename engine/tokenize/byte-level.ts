// byte-level.ts — the alphabet in which byte-level vocabularies are written: every byte is one printable character (GPT-2).
//
// In: text, or a token as the vocabulary spells it. Out: the same bytes, spelt the other way. A leaf: imports nothing.

const printable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

const charOfByte: string[] = [];
const byteOfChar = new Map<string, number>();
let spare = 256;
for (let byte = 0; byte < 256; byte++) {
  const char = String.fromCharCode(printable(byte) ? byte : spare++);
  charOfByte.push(char);
  byteOfChar.set(char, byte);
}

const encoder = new TextEncoder();

/** Spells the UTF-8 bytes of a text in the vocabulary's alphabet. Lone surrogates become U+FFFD. */
export function spell(text: string): string {
  let spelt = "";
  for (const byte of encoder.encode(text)) spelt += charOfByte[byte];
  return spelt;
}

/** The bytes of a token, or null where a character is not of the alphabet. */
export function unspell(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfChar.get(token.charAt(i));
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}

/** The alphabet's 256 characters, in order of the bytes they stand for. */
export const alphabet: readonly string[] = charOfByte;
