import assert from "node:assert/strict";
import fc from "fast-check";
import { PanelController, type PanelWish } from "../../../extension/panel/panel-controller.ts";
import { type Change, Conversation } from "../../../extension/talk/conversation.ts";
import { type PanelState, type ToPanel, toPanel } from "../../../media/messages.ts";
import { scripted, settled } from "../talk/scripted-ask.ts";

/** A panel that keeps what it is sent, and shows it as the real one does: a state replaces, text is added. */
class Page {
  readonly messages: ToPanel[] = [];
  readonly post = (message: ToPanel): void => void this.messages.push(structuredClone(message));

  types(): string[] {
    return this.messages.map(({ type }) => type);
  }

  text(): string {
    let text = "";
    for (const message of this.messages) {
      if (message.type === "state") text = message.state.thread.turns.map((turn) => turn.text).join("|");
      if (message.type === "text") text += message.text;
    }
    return text;
  }
}

function open(every = 0) {
  const { deps, asked } = scripted();
  const conversation = new Conversation(deps);
  const wishes: PanelWish[] = [];
  const warnings: string[] = [];
  const state = (): PanelState => ({
    thread: { id: conversation.id, turns: conversation.turns },
    engine: { state: "ready" },
    history: [],
  });
  const controller = new PanelController({
    source: { state, onDidChange: (listener: (change: Change) => void) => conversation.onDidChange(listener) },
    act: (wish) => void wishes.push(wish),
    warn: (message) => void warnings.push(message),
    every,
  });
  const join = (): { page: Page; receive(message: unknown): void; dispose(): void } => {
    const page = new Page();
    return { page, ...controller.attach(page) };
  };
  return { controller, conversation, asked, wishes, warnings, join };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "it did not come");
    await settled();
  }
}

describe("the panels' controller", () => {
  it("sends nothing before a panel is ready, then the whole state", () => {
    const { conversation, controller, join } = open();
    const { page, receive } = join();
    conversation.ask("one");
    assert.deepEqual(page.messages, []);
    receive({ type: "ready" });
    assert.deepEqual(page.types(), ["state"]);
    assert.match(JSON.stringify(page.messages), /"question":"one"/);
    controller.dispose();
  });

  it("sends a burst of text as one message, and the rest a little later", async () => {
    const { conversation, controller, asked, join } = open(20);
    const { page, receive } = join();
    conversation.ask("one");
    receive({ type: "ready" });
    await until(() => page.messages.length > 0);
    const before = page.messages.length;
    for (let count = 0; count < 500; count++) asked[0]?.events.text("word ");
    await until(() => page.text().length === 2_500);
    assert.ok(page.messages.length - before <= 3, page.types().join(" "));
    controller.dispose();
  });

  it("shows the same in two panels, whenever they come", async () => {
    const { conversation, controller, asked, join } = open(5);
    const first = join();
    first.receive({ type: "ready" });
    conversation.ask("one");
    asked[0]?.events.text("a");
    asked[0]?.events.text("b");
    const second = join();
    second.receive({ type: "ready" });
    asked[0]?.events.text("c");
    await until(() => first.page.text() === "abc" && second.page.text() === "abc");
    second.dispose();
    asked[0]?.events.text("d");
    await until(() => first.page.text() === "abcd");
    assert.equal(second.page.text(), "abc");
    controller.dispose();
  });

  it("never loses or doubles text, whatever comes in between", async () => {
    const step = fc.constantFrom("text", "text", "notice", "wait", "join", "reload");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { conversation, controller, asked, join } = open(1);
        const guests = [join()];
        conversation.ask("one");
        let sent = "";
        for (const name of steps) {
          if (name === "text") {
            asked[0]?.events.text(`${sent.length}.`);
            sent += `${sent.length}.`;
          }
          if (name === "notice") asked[0]?.events.notice("n");
          if (name === "wait") await settled();
          if (name === "join") guests.push(join());
          if (name === "reload") for (const { receive } of guests) receive({ type: "ready" });
        }
        for (const { receive } of guests) receive({ type: "ready" });
        await until(() => guests.every(({ page }) => page.text() === sent));
        for (const { page } of guests) for (const message of page.messages) toPanel.parse(message);
        controller.dispose();
      }),
      { numRuns: 60 },
    );
  });

  it("hands on what the user wishes", () => {
    const { join, wishes, warnings } = open();
    const { receive } = join();
    const all: PanelWish[] = [
      { type: "ask", question: "q" },
      { type: "stop" },
      { type: "ask again", turn: "t" },
      { type: "new thread" },
      { type: "open", path: "a.ts", line: 3 },
      { type: "copy", turn: "t" },
      { type: "export" },
      { type: "open settings" },
      { type: "choose model" },
      { type: "show log" },
    ];
    for (const wish of all) receive(wish);
    assert.deepEqual(wishes, all);
    assert.deepEqual(warnings, []);
  });

  it("drops what is no message, with a line in the log", () => {
    const { join, wishes, warnings } = open();
    const { receive } = join();
    const bad: unknown[] = [
      undefined,
      null,
      "ask",
      {},
      { type: "run" },
      { type: "ask", question: 3 },
      { type: "ask", question: "x".repeat(200_001) },
      { type: "open", path: "a.ts", line: -1 },
      { type: "open", path: "a.ts", line: 1.5 },
    ];
    for (const message of bad) receive(message);
    assert.deepEqual(wishes, []);
    assert.equal(warnings.length, bad.length);
    receive({ type: "report", message: "y".repeat(10_000) });
    assert.ok((warnings.at(-1)?.length ?? 0) < 2_100);
  });

  it("puts the cursor into the question box of the first panel that is ready", () => {
    const { controller, join } = open();
    const { page, receive } = join();
    controller.focus();
    assert.deepEqual(page.messages, []);
    receive({ type: "ready" });
    assert.deepEqual(page.types(), ["state", "focus"]);
    receive({ type: "ready" });
    assert.deepEqual(page.types(), ["state", "focus", "state"]);
    controller.focus();
    assert.equal(page.types().at(-1), "focus");
  });
});
