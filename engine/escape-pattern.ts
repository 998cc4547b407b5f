// escape-pattern.ts — text as a regular expression that matches just it. A leaf: imports nothing.

export function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
