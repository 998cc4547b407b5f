// citations.ts — the places that an answer cites: each verified one opens, an unclear one offers its choices, what was not found
// says so.
//
// In: an answer's citations. Out: a list below the answer.

import { html, nothing, type TemplateResult } from "lit";
import { counted, placeText } from "../../words/figures.ts";
import type { PanelCitation } from "../messages.ts";
import { icon, placeButton } from "./buttons.ts";

type Open = (path: string, line: number) => void;

/** Rows that are seen at once; the others open. */
const mostSeen = 6;

export function citationsView(
  turn: string,
  citations: readonly PanelCitation[],
  open: Open,
): TemplateResult | typeof nothing {
  if (citations.length === 0) return nothing;
  const verified = citations.filter((citation) => citation.verified).sort((a, b) => a.index - b.index);
  const unfound = citations.filter((citation) => !citation.verified);
  const row = (citation: PanelCitation) => citationRow(turn, citation, open);
  const rest = verified.slice(mostSeen);
  return html`<div class="citations">
    ${verified.length === 0 ? nothing : html`<h3>Citations</h3>`}
    <ul class="rows">
      ${verified.slice(0, mostSeen).map(row)}
    </ul>
    ${
      rest.length === 0
        ? nothing
        : html`<details class="more-citations">
            <summary>${counted(rest.length, "more citation")}</summary>
            <ul class="rows">
              ${rest.map(row)}
            </ul>
          </details>`
    }
    ${unfound.length === 0 ? nothing : unfoundView(unfound, open)}
  </div>`;
}

/** The id of a citation's row, where an unclear marker leads to. */
export function citationId(turn: string, index: number): string {
  return `citation-${turn}-${index}`;
}

function citationRow(turn: string, citation: PanelCitation, open: Open): TemplateResult {
  const { index, path, line, text, choices } = citation;
  const places = choices.length > 1 ? choices : [{ path, line }];
  return html`<li class="citation" id=${citationId(turn, index)}>
    <span class="citation-number" aria-hidden="true">${index}</span>
    <div class="citation-body">
      ${choices.length > 1 ? html`<span class="figures">It stands in ${counted(choices.length, "place")}:</span>` : nothing}
      ${places.map((place) => placeButton(placeText(place.path, place.line), () => open(place.path, place.line)))}
      ${text.trim() === "" ? nothing : html`<code class="citation-line" title=${text.trim()}>${text.trim()}</code>`}
    </div>
  </li>`;
}

function unfoundView(unfound: readonly PanelCitation[], open: Open): TemplateResult {
  return html`<div class="unfound">
    <h3>Unverified</h3>
    <p class="figures">The answer says these, but they do not stand like that in what was read.</p>
    <ul class="rows">
      ${unfound.map(
        ({ text, path, line }) => html`<li class="citation">
          ${icon("question")}
          <div class="citation-body">
            <code class="citation-line" title=${text}>${gist(text)}</code>
            ${
              path === ""
                ? nothing
                : html`<span class="compare"
                    ><span class="figures">Compare</span> ${placeButton(placeText(path, line), () => open(path, line))}</span
                  >`
            }
          </div>
        </li>`,
      )}
    </ul>
  </div>`;
}

/** The first line of a piece of Markdown that says something: without fences and backticks. */
function gist(text: string): string {
  const lines = text.split("\n").map((line) =>
    line
      .replace(/^\s*(?:```|~~~).*$/, "")
      .replace(/^`+|`+$/g, "")
      .trim(),
  );
  const first = lines.findIndex((line) => /\w/.test(line));
  const more = lines.slice(first + 1).some((line) => line !== "");
  return `${lines[first] ?? text}${more ? " …" : ""}`;
}
