// quire.ts — runs the built client as a user does, in a home of its own with the small test model in it, and says what came.

import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fetchedModel } from "../../models/fetched-model.ts";

const client = path.join(import.meta.dirname, "..", "..", "..", "dist", "cli.cjs");
export const smallModel = "smollm2-135m";

export interface Outcome {
  status: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
  seconds: number;
}

export interface Running {
  child: ChildProcessWithoutNullStreams;
  ended: Promise<Outcome>;
  /** Resolves when standard error matches; rejects when it ends before. */
  says: (pattern: RegExp) => Promise<void>;
}

/** A scratch folder with a home for Quire; the models in it are those of this machine, fetched if need be. */
export class Place {
  readonly folder = mkdtempSync(path.join(tmpdir(), "quire-cli-"));
  readonly home = path.join(this.folder, "home");

  async prepare(): Promise<void> {
    assert.ok(existsSync(client), "the client is not built: npm run build");
    mkdirSync(this.home, { mode: 0o700 });
    symlinkSync(path.dirname(await fetchedModel(smallModel)), path.join(this.home, "models"), "junction");
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Writes a workspace and returns its folder. */
  workspace(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
    const root = path.join(this.folder, name);
    mkdirSync(root, { recursive: true });
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
      writeFileSync(path.join(root, file), content);
    }
    return root;
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ""): Running {
    const began = performance.now();
    const child = spawn(process.execPath, [client, ...args], {
      cwd: this.folder,
      env: { ...process.env, QUIRE_HOME: this.home, NODE_OPTIONS: "", ...env },
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    let out = "";
    let err = "";
    child.stdout.on("data", (data) => {
      out += data;
    });
    child.stderr.on("data", (data) => {
      err += data;
    });
    const ended = new Promise<Outcome>((resolve) => {
      child.on("close", (status, signal) =>
        resolve({ status, signal, out, err, seconds: (performance.now() - began) / 1000 }),
      );
    });
    const says = (pattern: RegExp): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(err)) resolve();
        };
        child.stderr.on("data", look);
        look();
        void ended.then(() => reject(new Error(`it ended before it said ${pattern}: ${err}`)));
      });
    return { child, ended, says };
  }

  run(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ""): Promise<Outcome> {
    return this.start(args, env, input).ended;
  }
}

/** Standard output as objects: with --json every line is one. */
export function objects(outcome: Outcome): Record<string, unknown>[] {
  assert.ok(outcome.out === "" || outcome.out.endsWith("\n"), "the last line is whole");
  return outcome.out
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Processes whose parent is `pid`, or all those whose command holds `text`. */
export function processes(match: { parent: number } | { text: string }): number[] {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8" }).split("\n");
  return rows.flatMap((row) => {
    const found = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row);
    if (found === null) return [];
    const fits = "parent" in match ? Number(found[2]) === match.parent : (found[3] ?? "").includes(match.text);
    return fits ? [Number(found[1])] : [];
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Real-looking source of about `tokens` tokens a file. */
export function sourceText(seed: number, functions: number): string {
  const lines = [`// module ${seed}: keeps the entries of one table`, ""];
  for (let index = 0; index < functions; index++) {
    lines.push(
      `/** Adds entry ${index} to table ${seed} and returns its place. */`,
      `export function add${seed}Entry${index}(table, name, value = ${seed * 31 + index}) {`,
      `  if (table.has(name)) throw new Error(\`entry \${name} of table ${seed} exists\`);`,
      `  table.set(name, { value, order: table.size });`,
      `  return table.size - 1;`,
      `}`,
      "",
    );
  }
  return lines.join("\n");
}
