// readme.ts — `npm run bench -- readme`: writes the README's few figures, between its two markers, and docs/numbers.md, all of them.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { summary } from "./summary.ts";
import { sections } from "./tables.ts";

const at = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const [begin, end] = ["<!-- bench: begin -->", "<!-- bench: end -->"];

const old = readFileSync(at("README.md"), "utf8");
const [from, until] = [old.indexOf(begin), old.indexOf(end)];
if (from < 0 || until < from) throw new Error(`README.md lacks ${begin} … ${end}.`);
writeFileSync(at("README.md"), `${old.slice(0, from + begin.length)}\n${summary()}\n${old.slice(until)}`);

const all = sections();
const opening = `# Numbers

Made by \`npm run bench -- readme\` from the rows in \`test/bench/results/\`, which carry command, commit, machine and load. The machines
here are shared: ratios count, measured against the peer or the machine's own ceiling in the same run.
`;
writeFileSync(at("docs/numbers.md"), `${opening}\n${all.join("\n\n")}\n`);
process.stderr.write(`README.md, and docs/numbers.md with ${all.length} sections\n`);
