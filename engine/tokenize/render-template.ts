// render-template.ts — a chat template's text for one conversation, by `@huggingface/jinja`. Runs in the worker: a template comes
// from a model file, and a hostile one may run for ever or fill the memory.
//
// In: template source, messages, the spelling of special tokens. Out: text. Dates are pinned, so that a prompt, and with it the
// memory that follows it, is the same every day.

import { Template } from "@huggingface/jinja";

export interface RenderRequest {
  template: string;
  messages: { role: "system" | "user" | "assistant"; content: string }[];
  bosToken: string;
  eosToken: string;
}

// The date that Meta's templates fall back to: 26 July 2024.
const pinned: Record<string, string> = { Y: "2024", m: "07", d: "26", b: "Jul", B: "July", H: "12", M: "00", "%": "%" };

// The library declares `strftime_now` itself and lets no input replace it; a template may. The newline goes with the block.
const pinDate = "{% set strftime_now = quire_pinned_date %}\n";

/** Renders the template with a header for the next answer at the end. Throws whatever the template makes it throw. */
export function renderTemplate({ template, messages, bosToken, eosToken }: RenderRequest): string {
  return new Template(pinDate + template).render({
    messages,
    add_generation_prompt: true,
    bos_token: bosToken,
    eos_token: eosToken,
    quire_pinned_date: (format: string) => format.replace(/%(.)/gu, (whole, code: string) => pinned[code] ?? whole),
  });
}
