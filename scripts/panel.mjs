// panel.mjs — `npm run panel`: the panel alone in a plain browser, with recorded sessions and the editor's four default themes.
//
// Serves on 127.0.0.1: `/` to choose, `/panel` the panel's page under the same policy as in the editor. The panel is bundled anew
// for each page, as bundle.mjs does it: edit, reload. Its tests use the same server.
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { basename, extname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { builds } from "./bundle.mjs";
import { root } from "./layout.mjs";

const files = join(root, "test", "media");
const page = join(files, "page");
const types = {
  ".html": "text/html",
  ".css": "text/css",
  ".js": "text/javascript",
  ".json": "application/json",
  ".ttf": "font/ttf",
};
/** Classes of the body by theme, as the editor sets them. */
const bodies = {
  dark: "vscode-dark",
  light: "vscode-light",
  "high-contrast": "vscode-high-contrast",
  "high-contrast-light": "vscode-high-contrast-light vscode-high-contrast",
};

/** The panel's bundle, in memory: name → bytes. */
async function bundlePanel(sourcemap) {
  const { build } = createRequire(join(root, "package.json"))("esbuild");
  const options = builds.find(({ entryPoints }) => entryPoints.some((entry) => entry.out === "panel"));
  const { outputFiles } = await build({ ...options, sourcemap, legalComments: "none", write: false });
  return new Map(outputFiles.map((file) => [basename(file.path), file.contents]));
}

const recordings = () =>
  readdirSync(join(files, "recorded"))
    .filter((name) => name.endsWith(".json"))
    .map((name) => basename(name, ".json"));

function panelPage(query) {
  const theme = query.get("theme") in bodies ? query.get("theme") : "dark";
  const name = query.get("recording");
  const recording = recordings().includes(name) ? readFileSync(join(files, "recorded", `${name}.json`), "utf8") : "[]";
  const speed = Number(query.get("speed") ?? 0);
  const place = query.get("place") === "editor" ? ' data-place="editor"' : "";
  const nonce = randomBytes(16).toString("hex");
  const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'`;
  // In a script element nothing but "</script" and "<!--" has a meaning.
  const play = JSON.stringify({ recording: JSON.parse(recording), speed }).replaceAll("<", "\\u003c");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Quire</title>
<link rel="stylesheet" href="/page/webview.css">
<link rel="stylesheet" href="/page/themes/${theme}.css">
<link rel="stylesheet" href="/panel.css">
</head>
<body class="${bodies[theme]}"${place}>
<div id="root"></div>
<script nonce="${nonce}">window.quirePlay = ${play};</script>
<script nonce="${nonce}" src="/page/host.js"></script>
<script nonce="${nonce}" src="/panel.js"></script>
</body>
</html>
`;
}

/** Serves until closed. Resolves with the address and close(). `fresh`: bundle anew for each page. */
export async function servePanel({ port = 0, fresh = false } = {}) {
  const maps = fresh ? "inline" : false;
  let bundle = await bundlePanel(maps);
  const answer = async (url) => {
    const { pathname, searchParams } = new URL(url, "http://127.0.0.1");
    if (pathname === "/") return [readFileSync(join(page, "controls.html")), ".html"];
    if (pathname === "/choices")
      return [JSON.stringify({ themes: Object.keys(bodies), recordings: recordings() }), ".json"];
    if (pathname === "/panel") {
      if (fresh) bundle = await bundlePanel(maps);
      return [panelPage(searchParams), ".html"];
    }
    const made = bundle.get(pathname.slice(1));
    if (made !== undefined) return [made, extname(pathname)];
    const known = /^\/page\/((?:themes\/)?[\w-]+\.(?:css|js))$/.exec(pathname);
    const file = known && join(page, known[1]);
    return file && existsSync(file) ? [readFileSync(file), extname(file)] : undefined;
  };
  const server = createServer((request, response) => {
    answer(request.url ?? "/").then(
      (found) => {
        response.writeHead(found === undefined ? 404 : 200, { "content-type": types[found?.[1]] ?? "text/plain" });
        response.end(found?.[0]);
      },
      (error) => {
        response.writeHead(500, { "content-type": "text/plain" });
        response.end(String(error.message ?? error));
      },
    );
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const port = Number(process.argv[2] ?? 4173);
  const { address } = await servePanel({ port, fresh: true });
  console.log(`The panel with recorded sessions: ${address} (Ctrl-C ends it)`);
}
