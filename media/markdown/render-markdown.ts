// render-markdown.ts — Markdown of a model, which read a repository that anyone may have written, as harmless HTML.
//
// In: Markdown and the citations of the answer. Out: HTML text, to be sanitised before it meets the document. Raw HTML stays
// text; no link leads anywhere (its address is shown beside its text); an image is its description; [n] becomes a button that
// only says its number: what it opens is looked up by who handles the click. No style attributes: the page forbids them.

import createMarkdown, { type Env, type MarkdownIt, type StateInline, type Token } from "markdown-it";
import { openly, placeText } from "../../words/figures.ts";
import type { PanelCitation } from "../messages.ts";

/** What the rules need to know of the answer that they render. */
class Answer {
  readonly verified: ReadonlyMap<number, PanelCitation>;
  /** It names things that were not found: "[?]" marks them. */
  readonly marksUnfound: boolean;

  constructor(citations: readonly PanelCitation[]) {
    this.verified = new Map(citations.filter(({ verified }) => verified).map((citation) => [citation.index, citation]));
    this.marksUnfound = citations.some(({ verified }) => !verified);
  }

  static of(env: Env | undefined): Answer | undefined {
    return env?.answer instanceof Answer ? env.answer : undefined;
  }
}

const markdown = create();

/** HTML of a block of Markdown, not yet sanitised. */
export function renderMarkdown(source: string, citations: readonly PanelCitation[]): string {
  return markdown.render(source, { answer: new Answer(citations) });
}

/** Lines at which the text's top-level blocks begin. */
export function blockStarts(source: string): number[] {
  return markdown.parse(source, {}).flatMap((token) => (token.level === 0 && token.map ? [token.map[0]] : []));
}

function create(): MarkdownIt {
  const made = createMarkdown({ html: false, linkify: false, typographer: false });
  // Reference definitions would hide text and reach over blocks; indented code is an accident in a model's lists.
  made.disable(["reference", "code"]);
  made.inline.ruler.before("link", "citation", citationRule);
  const rules = made.renderer.rules;
  rules.fence = (tokens, at) => codeBlock(tokens[at]);
  rules.image = (tokens, at) => {
    const alt = tokens[at]?.content ?? "";
    return `<span class="md-image">Image: ${escapeHtml(alt === "" ? "without a description" : alt)}</span>`;
  };
  // The link's target is kept for its end, where it is shown. Links do not nest.
  rules.link_open = () => '<span class="md-link">';
  rules.link_close = (tokens, at) => `</span>${addressOf(tokens, at)}`;
  // The question above is a heading of level 2; levels that are skipped would confuse who moves by headings.
  rules.heading_open = (tokens, at) => `<h4 class="md-${tokens[at]?.tag ?? "h1"}">`;
  rules.heading_close = () => "</h4>\n";
  rules.table_open = () => '<div class="md-table" tabindex="0" role="group" aria-label="Table"><table>\n';
  rules.table_close = () => "</table></div>\n";
  rules.th_open = (tokens, at) => cell("th", tokens[at]);
  rules.td_open = (tokens, at) => cell("td", tokens[at]);
  rules.quire_citation = (tokens, at, _options, env) =>
    citationButton(Answer.of(env)?.verified.get(Number(tokens[at]?.content)));
  rules.quire_unfound = () => unfound;
  return made;
}

/** "[3]" after white space, where the answer has a citation 3, and "[?]". Before links: "[3](x)" is a citation and "(x)". */
function citationRule(state: StateInline, silent: boolean): boolean {
  if (state.src.charCodeAt(state.pos) !== 0x5b) return false;
  if (state.pos > 0 && !/\s/.test(state.src.charAt(state.pos - 1))) return false;
  const match = /^\[(\d{1,4}|\?)\]/.exec(state.src.slice(state.pos, state.pos + 7));
  if (match === null) return false;
  const answer = Answer.of(state.env);
  const said = match[1] ?? "";
  if (said === "?" ? answer?.marksUnfound !== true : answer?.verified.has(Number(said)) !== true) return false;
  if (!silent) {
    const token = state.push(said === "?" ? "quire_unfound" : "quire_citation", "", 0);
    token.content = said;
  }
  state.pos += match[0].length;
  return true;
}

function citationButton(cited: PanelCitation | undefined): string {
  if (cited === undefined) return "";
  const { index } = cited;
  const place = placeText(cited.path, cited.line);
  const several = cited.choices.length > 1 ? ` (one of ${cited.choices.length} places)` : "";
  const title = `${place}${several}\n${cited.text.trim()}`;
  const label = `Citation ${index}: ${openly(cited.path)}${cited.line > 0 ? ` line ${cited.line}` : ""}${several}`;
  return `<button type="button" class="md-citation" data-cite="${index}" title="${escapeHtml(title)}" aria-label="${escapeHtml(label)}">${index}</button>`;
}

const unfound = '<span class="md-unfound" title="This does not stand like that in what was read.">unverified</span>';

function codeBlock(token: Token | undefined): string {
  const language = /^[\w+#.-]{1,30}/.exec(token?.info.trim() ?? "")?.[0] ?? "";
  const name = escapeHtml(language === "" ? "Code" : language);
  return (
    `<div class="md-code"><div class="md-code-head"><span>${name}</span>` +
    `<button type="button" class="icon-button" data-copy="code" title="Copy code" aria-label="Copy code"><span class="codicon codicon-copy" aria-hidden="true"></span></button></div>` +
    `<pre tabindex="0" role="group" aria-label="${name}"><code>${escapeHtml(token?.content ?? "")}</code></pre></div>\n`
  );
}

/** The address of a link, to be read: its text may say something else. */
function addressOf(tokens: readonly Token[], close: number): string {
  let open = close;
  while (open > 0 && tokens[open]?.type !== "link_open") open--;
  const address = String(tokens[open]?.attrGet("href") ?? "");
  const text = tokens
    .slice(open + 1, close)
    .map(({ content }) => content)
    .join("");
  if (address === "" || decoded(address) === text) return "";
  return ` <span class="md-address">(${escapeHtml(decoded(address))})</span>`;
}

function decoded(address: string): string {
  try {
    return decodeURI(address);
  } catch {
    return address;
  }
}

function cell(tag: "th" | "td", token: Token | undefined): string {
  const side = /text-align:(left|center|right)/.exec(String(token?.attrGet("style") ?? ""))?.[1];
  return side === undefined ? `<${tag}>` : `<${tag} class="md-${side}">`;
}

function escapeHtml(text: string): string {
  return markdown.utils.escapeHtml(text);
}
