// The pieces of a conversation, from real templates and from hostile ones.

import assert from "node:assert/strict";
import { QuireError } from "../../../engine/errors.ts";
import { type ChatPieces, readChatTemplate } from "../../../engine/tokenize/chat-template.ts";
import { renderTemplate } from "../../../engine/tokenize/render-template.ts";
import { startWorker } from "../../../engine/tokenize/start-worker.ts";
import { Tokenizer } from "../../../engine/tokenize/tokenizer.ts";
import { control, spelt, tinySource, tinyTokenizer } from "./tiny.ts";

const smolLm2 =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const loop = (body: string): string => `{% for message in messages %}${body}{% endfor %}`;

describe("readChatTemplate", function () {
  this.timeout(30_000);
  const tokenizer = tinyTokenizer();
  const text = (pieces: ChatPieces): string[] =>
    [pieces.prologue, pieces.afterQuestion, pieces.afterAnswer].map((ids) =>
      spelt(tokenizer, ids).join("").replaceAll("Ċ", "\n").replaceAll("Ġ", " "),
    );
  const read = (template: string | null, system = "Be brief."): Promise<ChatPieces> =>
    readChatTemplate({ tokenizer, template, system });
  const refuses = (template: string | null, reason: RegExp): Promise<void> =>
    assert.rejects(
      read(template),
      (error) => error instanceof QuireError && error.code === "unsupported-model" && reason.test(error.message),
    );

  it("puts our system prompt in the place of the template's own", async () => {
    assert.deepEqual(text(await read(smolLm2)), [
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n",
      "<|im_end|>\n<|im_start|>assistant\n",
      "<|im_end|>\n<|im_start|>user\n",
    ]);
  });

  it("encodes the template's control tokens as such and the system prompt's as characters", async () => {
    const { prologue } = await read(smolLm2, "<|im_end|>");
    const found = spelt(tokenizer, prologue).filter((token) => control.includes(token));
    assert.deepEqual(found, ["<|im_start|>", "<|im_end|>", "<|im_start|>"]);
  });

  it("stops at the end of a turn and at what the file names", async () => {
    const pieces = await readChatTemplate({
      tokenizer,
      template: smolLm2,
      system: "",
      eotIds: [tokenizer.bosId ?? -1],
    });
    assert.deepEqual(pieces.stopTokens, [tokenizer.idOf("<|endoftext|>"), tokenizer.idOf("<|im_end|>")]);
  });

  it("takes ChatML where there is no template, and refuses where the vocabulary has none of its tokens", async () => {
    assert.deepEqual(text(await read(null)), text(await read(smolLm2)));
    const source = tinySource();
    const without = new Tokenizer({
      ...source,
      tokens: source.tokens.map((token) => token.replace("im_start", "start")),
    });
    await assert.rejects(readChatTemplate({ tokenizer: without, template: null, system: "" }), /no <\|im_start\|>/);
  });

  it("begins with the beginning-of-sequence token once, whether the template writes it or not", async () => {
    const withBos = tinyTokenizer({ addBos: true });
    for (const template of [smolLm2, `{{ bos_token }}${smolLm2}`]) {
      const { prologue } = await readChatTemplate({ tokenizer: withBos, template, system: "" });
      assert.equal(prologue.filter((id) => id === withBos.bosId).length, 1);
      assert.equal(prologue[0], withBos.bosId);
    }
  });

  it("says the same on every day", async () => {
    const [prologue = ""] = text(await read(`{{ strftime_now('%d %b %Y') }}|${smolLm2}`));
    assert.ok(prologue.startsWith("26 Jul 2024|"));
  });

  it("uses the header of the answer to come where earlier answers have another", async () => {
    const template = `${loop("<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n")}<|im_start|>assistant\n<think>{{ '\n' }}`;
    assert.equal(text(await read(template))[1], "<|im_end|>\n<|im_start|>assistant\n<think>\n");
  });

  const llama3 =
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{{ '<|im_start|>' + message['role'] + '\n\n' + message['content'] | trim + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n\n' }}{% endif %}";
  const qwen2 =
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}{%- endif %}{%- for message in messages %}{%- if message.role == 'user' or (message.role == 'system' and not loop.first) or (message.role == 'assistant' and not message.tool_calls) %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}";
  const templates: [string, string][] = [
    ["SmolLM2", smolLm2],
    ["Qwen2.5", qwen2],
    ["a llama 3 shape", llama3],
  ];
  for (const [name, template] of templates) {
    it(`joins the turns of a thread as ${name}'s template writes the whole conversation`, async () => {
      const chat = await readChatTemplate({ tokenizer, template, system: "Be brief." });
      const words = ["What is x?", "It is 1.", "And y?", "It is 2.", "Why?"];
      const [q1 = "", a1 = "", q2 = "", a2 = "", q3 = ""] = words;
      const joined = [
        ...chat.prologue,
        ...[...tokenizer.encode(q1), ...chat.afterQuestion, ...tokenizer.encode(a1), ...chat.afterAnswer],
        ...[...tokenizer.encode(q2), ...chat.afterQuestion, ...tokenizer.encode(a2), ...chat.afterAnswer],
        ...[...tokenizer.encode(q3), ...chat.afterQuestion],
      ];
      const roles = ["user", "assistant", "user", "assistant", "user"] as const;
      const whole = renderTemplate({
        template,
        messages: [
          { role: "system", content: "Be brief." },
          ...words.map((content, index) => ({ role: roles[index] ?? "user", content })),
        ],
        bosToken: "<|endoftext|>",
        eosToken: "<|im_end|>",
      });
      assert.deepEqual(
        spelt(tokenizer, Int32Array.from(joined)).join(""),
        spelt(tokenizer, tokenizer.encodeTemplate(whole)).join(""),
      );
      assert.deepEqual(joined, [...tokenizer.encodeTemplate(whole)]);
    });
  }

  it("refuses a template that separates later turns otherwise", () =>
    refuses(
      `{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>{% if loop.index > 4 %}|{% endif %}{% endfor %}<|im_start|>assistant\n`,
      /later turns differently/,
    ));

  it("refuses a template that drops, repeats, reorders or changes a text", async () => {
    await refuses(loop("{% if message.role != 'system' %}{{ message.content }}{% endif %}"), /leaves out/);
    await refuses(loop("{{ message.content }}{{ message.content }}"), /repeats/);
    await refuses("{% for message in messages | reverse %}{{ message.content }}{% endfor %}", /leaves out/);
    await refuses(loop("{{ message.content | upper }}"), /leaves out/);
    await refuses(loop("{{ message.content }}"), /does not separate/);
  });

  it("refuses a template that fails or cannot be parsed", async () => {
    await refuses("{{ raise_exception('no system role') }}", /no system role/);
    await refuses("{% for", /cannot be used/);
    await refuses("x".repeat(200_001), /characters long/);
  });

  it("refuses a template that gives too much, takes too long or too much memory", async () => {
    await refuses(`{% for i in range(200000) %}ab{% endfor %}`, /gives 400000 characters/);
    await refuses("{% set a = [[1]] %}{% for i in range(40) %}{% set a = a + a %}{% endfor %}", /cannot be used/);
    const forever = `{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}`;
    const started = Date.now();
    await assert.rejects(
      readChatTemplate(
        { tokenizer, template: forever, system: "" },
        { start: (job) => startWorker(job), timeout: 1_000 },
      ),
      /takes more than 1000 ms/,
    );
    assert.ok(Date.now() - started < 10_000);
  });

  it("gives a template no way to the program", async () => {
    await refuses("{{ messages.constructor.constructor('return process')() }}", /cannot be used/);
    await refuses("{{ ''.__class__.__mro__ }}", /cannot be used/);
  });
});
