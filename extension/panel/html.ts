// html.ts — the panel's page: an empty root, one script, one style sheet, and a policy that lets in nothing else.
//
// In: addresses that the editor made for files of dist/. Out: HTML. Nothing of a workspace is ever put into it: everything the
// panel shows comes by messages. Pure.

export interface PageParts {
  /** Where the editor serves an extension's own files from. */
  cspSource: string;
  /** New for every page. */
  nonce: string;
  script: string;
  style: string;
  /** Where the page lies: the panel takes the colours of its surroundings. */
  place: "editor" | "view";
}

export function page({ cspSource, nonce, script, style, place }: PageParts): string {
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource}`,
    `font-src ${cspSource}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${attribute(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Quire</title>
<link rel="stylesheet" href="${attribute(style)}">
</head>
<body data-place="${place}">
<div id="root"></div>
<script nonce="${attribute(nonce)}" src="${attribute(script)}"></script>
</body>
</html>
`;
}

function attribute(value: string): string {
  return value.replace(/[&"<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
