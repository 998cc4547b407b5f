// pack.mjs — a folder with everything that the quality gate needs where there is a GPU but no Node, checkout or network.
//
//   node test/bench/quality/pack.mjs FOLDER CUDA-ADDON        the model's file comes apart
//   there:  FOLDER/run.sh OUT ITEMS LENGTH:CONTEXTS...        each context in a process of its own, lines into OUT
//   then:   npm run bench -- quality --rows OUT
//
// In: built addons (npm run build, npm run build:cuda). Out: Node, the bench in one file, the addons, the corpus in its places.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { addon, dist, root } from "../../../scripts/layout.mjs";

const [folder, cudaAddon] = process.argv.slice(2);
if (folder === undefined || cudaAddon === undefined) throw new Error("node pack.mjs FOLDER CUDA-ADDON");
rmSync(folder, { recursive: true, force: true });
const tree = join(folder, "tree");
await build({
  entryPoints: [join(root, "test/bench/quality.ts")],
  outfile: join(tree, "test/bench/packed/quality.mjs"),
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  banner: {
    js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
  },
});
const { corpus, folders } = await import("tsx/esm/api").then(({ tsImport }) =>
  tsImport("./corpus.ts", import.meta.url),
);
for (const { path } of corpus()) {
  const place = existsSync(join(root, path)) ? path : `node_modules/${path}`;
  mkdirSync(dirname(join(tree, place)), { recursive: true });
  cpSync(join(root, place), join(tree, place));
}
for (const place of folders) mkdirSync(join(tree, place), { recursive: true });
cpSync(join(dist, "tokenize-worker.cjs"), join(tree, "test/bench/packed/tokenize-worker.cjs"));
cpSync(addon, join(folder, "quire.node"));
cpSync(cudaAddon, join(folder, "quire-cuda.node"));
const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
writeFileSync(
  join(folder, "run.sh"),
  `#!/bin/bash
# run.sh OUT ITEMS LENGTH:CONTEXTS... [-- options]: the quality gate on this machine's GPU, a process for each context.
here=$(cd "$(dirname "$0")" && pwd); out=$1; items=$2; shift 2
export QUIRE_ADDON=$here/quire.node QUIRE_CUDA_ADDON=$here/quire-cuda.node QUIRE_COMMIT=\${QUIRE_COMMIT:-${commit}}
shards=(); while [ $# -gt 0 ] && [ "$1" != -- ]; do shards+=("$1"); shift; done; shift
for shard in "\${shards[@]}"; do
  length=\${shard%:*} contexts=\${shard#*:}
  for ((context = 0; context < contexts; context++)); do
    \${NODE:-node} "$here/tree/test/bench/packed/quality.mjs" --backend cuda --lengths $length --contexts $contexts --items $items \\
      --context $context --out "$out/quality-$length-$context.jsonl" "$@" 2> "$out/../quality-$length-$context.log" &
  done
done
wait
`,
);
chmodSync(join(folder, "run.sh"), 0o755);
