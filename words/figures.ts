// figures.ts — numbers and names as people read them: counts, shares, durations, sizes, plurals, places in files.
//
// In: numbers. Out: short English text, the same in the panel, in the editor and in what a screen reader says. Pure.

/** 12340 → "12,340". */
export function numberText(value: number): string {
  // By hand: the editor loads this at its start-up, where a number format of Intl costs milliseconds.
  return String(Math.round(value)).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** 1, "file" → "1 file"; 3, "file" → "3 files". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${numberText(value)} ${Math.round(value) === 1 ? one : many}`;
}

/** 0.364 → "36 %"; what is not quite nothing or everything does not read as such. */
export function percentText(share: number): string {
  if (!Number.isFinite(share) || share <= 0) return "0 %";
  if (share >= 1) return "100 %";
  const percent = share * 100;
  if (percent < 0.1) return "under 0.1 %";
  return `${percent < 10 ? percent.toFixed(1) : Math.min(99, Math.round(percent))} %`;
}

/** Seconds left, rounded to what an estimate is good for. */
export function durationText(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "an unknown time";
  if (seconds < 1) return "under a second";
  if (Math.round(seconds) < 60) return counted(seconds, "second");
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return counted(minutes, "minute");
  const rest = minutes % 60;
  return rest === 0
    ? counted(minutes / 60, "hour")
    : `${counted(Math.floor(minutes / 60), "hour")} ${counted(rest, "minute")}`;
}

/** 98362432 → "98.4 MB". */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return counted(bytes, "byte");
  const units = ["kB", "MB", "GB", "TB"];
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(1)} ${units[power - 1] ?? ""}`;
}

/** A speed: one digit behind the point where it matters. */
export function rateText(perSecond: number): string {
  return perSecond < 10 ? perSecond.toFixed(1) : numberText(perSecond);
}

/** "src/a.ts:12"; a whole file has no line. */
export function placeText(path: string, line: number): string {
  return line > 0 ? `${openly(path)}:${line}` : openly(path);
}

/** A name with characters that cannot be seen, or that turn the direction of others, spelt out: it may not look like another. */
export function openly(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (sign) => {
    const code = sign.codePointAt(0)?.toString(16).padStart(4, "0") ?? "";
    return `\\u{${code}}`;
  });
}
