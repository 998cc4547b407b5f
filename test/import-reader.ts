// import-reader.ts — every import and #include below a folder, as arrows between paths.
//
// In: a folder. Out: arrows { from, to, typesOnly }; `to` is a path relative to the folder, or a package, builtin or system
// header as it is written. It judges nothing; imports.test.ts does.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

export interface Arrow {
  from: string;
  to: string;
  /** Nothing of it is there at run time. */
  typesOnly: boolean;
}

const endings = /\.(ts|mts|mjs|cjs|js|h|cpp|cu|cuh)$/;
const skipped = new Set(["node_modules", "dist", "build", "fixtures"]);

function* sources(root: string, folder: string): Generator<string> {
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const inside = path.posix.join(folder, entry.name);
    if (entry.isDirectory() && !entry.name.startsWith(".") && !skipped.has(entry.name)) yield* sources(root, inside);
    else if (entry.isFile() && endings.test(entry.name)) yield inside;
  }
}

/** `{ type A, type B }` and `type X` bring nothing at run time. */
function isTypesOnly(clause: string): boolean {
  if (/^type\s/.test(clause)) return true;
  const braces = /^\{([^}]*)\}$/.exec(clause.trim());
  const names = (braces?.[1] ?? "").split(",").map((name) => name.trim());
  const written = names.filter((name) => name !== "");
  return written.length > 0 && written.every((name) => name.startsWith("type "));
}

/** A specifier beginning with a dot as a path from the root; others as they are. */
function target(from: string, specifier: string): string {
  return specifier.startsWith(".") ? path.posix.join(path.posix.dirname(from), specifier) : specifier;
}

function scriptArrows(from: string, text: string): Arrow[] {
  const statements = text.matchAll(/^\s*(?:import|export)\s+([^;"'`]*?)\s*from\s+["']([^"']+)["']/gm);
  const bare = text.matchAll(/^\s*import\s+["']([^"']+)["']/gm);
  const calls = text.matchAll(/\b(?:import|require)\(\s*["']([^"']+)["']/g);
  return [
    ...[...statements].map(([, clause = "", to = ""]) => ({
      from,
      to: target(from, to),
      typesOnly: isTypesOnly(clause),
    })),
    ...[...bare, ...calls].map(([, to = ""]) => ({ from, to: target(from, to), typesOnly: false })),
  ];
}

function includeArrows(from: string, text: string): Arrow[] {
  // Includes in quotes are written from the root (style: "native/core/error.h"); <...> is a system header or a package's.
  return [...text.matchAll(/^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)/gm)].map(([, quoted, system = ""]) => ({
    from,
    to: quoted === undefined ? system : target(from, quoted),
    typesOnly: false,
  }));
}

/** All arrows that begin in the given folders of `root`; a folder that is not there has none. */
export function readArrows(root: string, folders: string[]): Arrow[] {
  const present = readdirSync(root);
  return folders
    .filter((folder) => present.includes(folder))
    .flatMap((folder) => [...sources(root, folder)])
    .flatMap((from) => {
      const text = readFileSync(path.join(root, from), "utf8");
      return /\.(h|cpp|cu|cuh)$/.test(from) ? includeArrows(from, text) : scriptArrows(from, text);
    });
}
