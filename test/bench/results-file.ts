// results-file.ts — where benches put their rows: a JSON file under results/, replaced as a whole, with what made it.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

export type Row = Record<string, unknown>;

/** What every row carries: command, commit, machine, load, date. */
export function provenance(): Row {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { encoding: "utf8", maxBuffer: 64 << 20 }).trim();
  const dirty = (): string => (git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "+changes");
  return {
    command: `npm run bench -- ${process.argv
      .slice(1)
      .map((arg) => arg.replace(/^.*\/bench\/(?:packed\/)?([^/]+)\.m?[jt]s$/, "$1"))
      .join(" ")}`,
    commit: process.env.QUIRE_COMMIT ?? git("rev-parse", "--short", "HEAD") + dirty(), // named where there is no checkout
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGB: Math.round(totalmem() / 1e9),
    load: loadavg().map((load) => Number(load.toFixed(2))),
    date: new Date().toISOString(),
  };
}

const fileOf = (name: string): string => fileURLToPath(new URL(`results/${name}.json`, import.meta.url));

/** Replaces the bench's rows. */
export function writeRows(name: string, rows: readonly Row[]): void {
  mkdirSync(fileURLToPath(new URL("results/", import.meta.url)), { recursive: true });
  writeFileSync(fileOf(name), `[\n${rows.map((row) => `  ${JSON.stringify(row)}`).join(",\n")}\n]\n`);
}

/** The committed rows of a bench; empty when there are none. */
export function readRows(name: string): Row[] {
  try {
    return JSON.parse(readFileSync(fileOf(name), "utf8")) as Row[];
  } catch {
    return [];
  }
}

/** Prints a row: as a line of JSON, or for people. */
export function printRow(row: Row, json: boolean): void {
  if (json) process.stdout.write(`${JSON.stringify(row)}\n`);
  else
    process.stderr.write(
      `${Object.entries(row)
        .filter(([, value]) => typeof value !== "object")
        .map(([key, value]) => `${key} ${typeof value === "number" ? Number(value.toPrecision(4)) : value}`)
        .join("  ")}\n`,
    );
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
