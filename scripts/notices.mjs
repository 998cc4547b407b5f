// notices.mjs — the licences of everything of others that the extension ships, as one text.
//
// In: what esbuild says it bundled, and the packages whose files are copied or compiled in. Out: dist/ThirdPartyNotices.txt.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./layout.mjs";
import { Stop } from "./steps.mjs";

/** Linked into the addons that scripts/cross-addon.mjs makes. */
const runtime = `libc++, libc++abi, libunwind and compiler-rt of the LLVM project (in the native part, where it was compiled by Zig)
Licence: Apache-2.0 WITH LLVM-exception`;

/** The folders of the packages that went into bundles, by esbuild's metafiles: "node_modules/a/node_modules/@b/c". */
function bundled(metafiles) {
  const inputs = metafiles.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap((output) => Object.keys(output.inputs)),
  );
  return inputs.flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0] ?? []);
}

function notice(folder) {
  const place = join(root, folder);
  const { name, version, license } = JSON.parse(readFileSync(join(place, "package.json"), "utf8"));
  const texts = readdirSync(place).filter((file) => /^(licen[cs]e|notice|thirdpartynotices)/i.test(file));
  if (license === undefined && texts.length === 0) throw new Stop(`${name} names no licence: may it be shipped?`);
  const lines = texts.map((file) => readFileSync(join(place, file), "utf8").trim());
  // tree-sitter's grammars say where they come from in a manifest of their own.
  const parts = existsSync(join(place, "cgmanifest.json"))
    ? JSON.parse(readFileSync(join(place, "cgmanifest.json"), "utf8")).registrations.map(
        ({ component: { git }, license }) => `Contains ${git.repositoryUrl} at ${git.commitHash} (${license ?? "MIT"})`,
      )
    : [];
  return [`${name} ${version}`, `Licence: ${license ?? "see below"}`, ...parts, "", ...lines].join("\n");
}

/** The text; `packages` are folders below the checkout's root beside those that esbuild bundled. */
export function thirdPartyNotices(metafiles, packages) {
  const folders = [...new Set([...bundled(metafiles), ...packages])].sort();
  const rule = `\n\n${"-".repeat(80)}\n\n`;
  return `Quire contains the work of others, under their own licences.${rule}${[...folders.map(notice), runtime].join(rule)}\n`;
}
