// sanitise.ts — the last gate before the document: only the elements and attributes that render-markdown.ts makes pass.
//
// In: HTML text. Out: a fragment of the document. What is not on the lists is dropped, whoever wrote it.

import createPurifier, { type WindowLike } from "dompurify";

const tags = [
  ...[
    "p",
    "h4",
    "ul",
    "ol",
    "li",
    "blockquote",
    "pre",
    "code",
    "em",
    "strong",
    "s",
    "hr",
    "br",
    "span",
    "div",
    "button",
  ],
  ...["table", "thead", "tbody", "tr", "th", "td"],
];
const attributes = [
  "class",
  "title",
  "type",
  "start",
  "tabindex",
  "role",
  "aria-label",
  "aria-hidden",
  "data-cite",
  "data-copy",
];

/** A function that turns HTML into a fragment, for a window. */
export function createSanitiser(window: WindowLike): (html: string) => DocumentFragment {
  const purifier = createPurifier(window);
  return (html) =>
    purifier.sanitize(html, {
      ALLOWED_TAGS: tags,
      ALLOWED_ATTR: attributes,
      ALLOW_DATA_ATTR: false,
      ALLOW_ARIA_ATTR: false,
      ALLOW_UNKNOWN_PROTOCOLS: false,
      RETURN_DOM_FRAGMENT: true,
    });
}
