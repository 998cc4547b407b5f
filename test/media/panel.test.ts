// panel.test.ts — the panel in a real browser, over recorded sessions: what the keyboard does, what a screen reader hears, that axe
// finds nothing in the four default themes, that nothing is cut off, that a long answer streams smoothly.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { gzipSync } from "node:zlib";
import type { PanelAnswer, PanelTurn, ToPanel } from "../../media/messages.ts";
import { type Opened, PanelBrowser, stateOf, turnOf, type Wanted } from "./browser.ts";
import { cited } from "./citation.ts";
import type { Recording } from "./record.ts";

const themes = ["dark", "light", "high-contrast", "high-contrast-light"];
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const recorded = async (name: string): Promise<Recording> =>
  JSON.parse(await readFile(path.join(import.meta.dirname, "recorded", `${name}.json`), "utf8"));
const shots = process.env.QUIRE_SHOTS;

describe("the panel in a browser", () => {
  let browser: PanelBrowser | undefined;
  let opened: Opened;

  before(async function () {
    this.timeout(60_000);
    browser = await PanelBrowser.start();
    if (browser === undefined) this.skip();
  });
  after(() => browser?.close());
  afterEach(async () => {
    const troubles = opened?.troubles ?? [];
    await opened?.page.context().close();
    assert.deepEqual(troubles, []);
  });

  async function open(wanted: Wanted = {}): Promise<Opened> {
    assert.ok(browser);
    opened = await browser.open(wanted);
    return opened;
  }

  const openAll = () =>
    opened.page.evaluate(() => {
      for (const each of document.querySelectorAll("details")) each.open = true;
    });

  async function look(name: string): Promise<void> {
    if (shots === undefined) return;
    await mkdir(shots, { recursive: true });
    await opened.page.screenshot({ path: path.join(shots, `${name}.png`) });
  }

  /** Axe's findings, one line each. */
  async function findings(): Promise<string[]> {
    await opened.page.evaluate(axe);
    return opened.page.evaluate(async () => {
      const { axe } = window as unknown as { axe: typeof import("axe-core") };
      const { violations } = await axe.run(document);
      return violations.flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary}`),
      );
    });
  }

  /** Elements that stick out of the panel sideways. */
  const stickingOut = () =>
    opened.page.evaluate(() => {
      const scrolls = (each: Element) =>
        each.closest("pre, .md-table, .unseen, .citation-line, quire-live-region") !== null;
      return [...document.querySelectorAll("body *")]
        .filter(
          (each) => !scrolls(each) && each.getBoundingClientRect().right > document.documentElement.clientWidth + 1,
        )
        .map((each) => `${each.localName}.${each.className}`);
    });

  describe("axe finds nothing", () => {
    for (const theme of themes)
      for (const width of [300, 900])
        it(`in ${theme}, ${width} pixels wide`, async function () {
          this.timeout(60_000);
          const place = width > 600 ? "editor" : "view";
          await open({ theme, width, place, recording: "ask" });
          await openAll();
          assert.deepEqual(await findings(), []);
          await look(`answers-${theme}-${width}`);
          await opened.page.context().close();
          await open({ theme, width, place, recording: "ask", first: 1 });
          assert.deepEqual(await findings(), []);
          await look(`empty-${theme}-${width}`);
          await opened.post(
            stateOf([turnOf("a", { state: "failed", failure: lost })], { engine: failed, hindrance: "Open a folder." }),
          );
          assert.deepEqual(await findings(), []);
          await look(`failed-${theme}-${width}`);
          await opened.post(
            stateOf([turnOf("a", { progress: reading(512, 2048) })], { engine: { state: "reading", percent: 25 } }),
          );
          assert.deepEqual(await findings(), []);
          await look(`reading-${theme}-${width}`);
          await opened.post(stateOf([outdated("a", "main", ["src/a.ts"])]));
          assert.deepEqual(await findings(), []);
          await look(`state-${theme}-${width}`);
        });
  });

  describe("nothing is cut off", () => {
    for (const width of [150, 220, 300, 900])
      it(`at ${width} pixels`, async () => {
        await open({ width, recording: "ask" });
        await openAll();
        assert.deepEqual(await stickingOut(), []);
        await look(`narrow-${width}`);
      });

    it("in a low window: everything can be scrolled to", async () => {
      await open({ width: 640, height: 300, recording: "ask" });
      await opened.page.locator("#question").scrollIntoViewIfNeeded();
      assert.ok(await opened.page.locator("#question").isVisible());
      await opened.page.locator(".question").first().scrollIntoViewIfNeeded();
      assert.ok(await opened.page.locator(".question").first().isVisible());
      await look("low");
    });

    it("a failure below a long thread is scrolled to, with its buttons", async () => {
      await open({ width: 300, height: 500 });
      const done = turnOf("a", { state: "done", answer: answerOf("Long.\n\n".repeat(40)) });
      await opened.post(stateOf([done]), stateOf([done, turnOf("b")]));
      await opened.post(stateOf([done, turnOf("b", { state: "failed", failure: lost })]));
      const bottom = await opened.page
        .locator(".note-error .buttons")
        .evaluate((each) => each.getBoundingClientRect().bottom);
      const edge = await opened.page.locator("quire-question-box").evaluate((each) => each.getBoundingClientRect().top);
      assert.ok(bottom <= edge, `${bottom} below ${edge}`);
    });

    it("the row below the question box is one line, its whole words for the ear", async () => {
      await open({ width: 300 });
      for (const state of [stateOf([]), stateOf([turnOf("a")])]) {
        await opened.post(state);
        const height = await opened.page
          .locator(".question-row")
          .evaluate((each) => each.getBoundingClientRect().height);
        assert.ok(height < 36, `${height} pixels`);
      }
      assert.match((await opened.page.locator("#question-keys").textContent()) ?? "", /Enter asks next, Esc stops/);
    });

    it("with long words without spaces, and odd names", async () => {
      await open({ width: 300 });
      const name = `${"very-long-folder-name/".repeat(8)}\u202e"<b>.ts`;
      const answer = answerOf(`${"x".repeat(3000)} [1]`, {
        citations: [cited(1, name, 12345, { text: "y".repeat(5000) })],
      });
      await opened.post(
        stateOf([
          turnOf("a", {
            state: "done",
            question: "q".repeat(2000),
            answer,
            scope: { path: name, startLine: 1, endLine: 2 },
          }),
          outdated("b", "b".repeat(300), [name]),
        ]),
      );
      await openAll();
      assert.deepEqual(await stickingOut(), []);
      await look("long-words");
    });

    it("in forced colours, without motion", async () => {
      await open({ recording: "ask" });
      await opened.page.emulateMedia({ forcedColors: "active", reducedMotion: "reduce" });
      await look("forced-colours");
      const running = await opened.page.evaluate(() => document.getAnimations().length);
      assert.equal(running, 0);
    });
  });

  describe("by the keyboard alone", () => {
    const box = () => opened.page.locator("#question");
    const focusedName = () =>
      opened.page.evaluate(
        () => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent?.trim() ?? "",
      );

    it("a question is asked, another line begun, an earlier question recalled, an answer stopped", async () => {
      await open();
      await opened.post(stateOf([], { history: ["newest?", "oldest?"] }), { type: "focus" });
      await opened.page.keyboard.type("first line");
      await opened.page.keyboard.press("Shift+Enter");
      await opened.page.keyboard.type("second");
      assert.equal(await box().inputValue(), "first line\nsecond");
      await opened.page.keyboard.press("Enter");
      assert.equal(await box().inputValue(), "");
      const recalled: [string, string][] = [
        ["ArrowUp", "newest?"],
        ["ArrowUp", "oldest?"],
        ["ArrowUp", "oldest?"],
        ["ArrowDown", "newest?"],
        ["ArrowDown", "draft"],
      ];
      await opened.page.keyboard.type("draft");
      await opened.page.keyboard.press("Home");
      for (const [key, expected] of recalled) {
        await opened.page.keyboard.press(key);
        assert.equal(await box().inputValue(), expected);
      }
      await opened.post(stateOf([turnOf("a")]));
      await opened.page.keyboard.press("Escape");
      assert.deepEqual((await opened.sent()).slice(1), [
        { type: "ask", question: "first line\nsecond" },
        { type: "stop" },
      ]);
    });

    it("nothing is asked by an empty box, nor where nothing can be asked", async () => {
      await open();
      await opened.post(stateOf([]), { type: "focus" });
      await opened.page.keyboard.type("  ");
      await opened.page.keyboard.press("Enter");
      await opened.post(stateOf([], { hindrance: "Open a folder to ask about it." }));
      assert.ok(await box().isDisabled());
      assert.ok(await opened.page.getByText("Open a folder to ask about it.").isVisible());
      assert.deepEqual(await opened.sent(), [{ type: "ready" }]);
    });

    it("the toolbar is one stop, its buttons are reached by arrows", async () => {
      await open();
      await opened.post(stateOf([turnOf("a", { state: "stopped", text: "x" })]));
      await opened.page.keyboard.press("Tab");
      const names = [await focusedName()];
      for (const key of ["ArrowRight", "ArrowRight", "End", "ArrowRight", "ArrowLeft", "Home"]) {
        await opened.page.keyboard.press(key);
        names.push(await focusedName());
      }
      assert.deepEqual(names, [
        "New thread",
        "Export as Markdown",
        "Settings",
        "Log",
        "New thread",
        "Log",
        "New thread",
      ]);
      await opened.page.keyboard.press("Enter");
      await opened.page.keyboard.press("Tab");
      assert.equal(await focusedName(), "Thread");
      assert.deepEqual((await opened.sent()).slice(1), [{ type: "new thread" }]);
    });

    it("every control of a recorded thread is reached, in the order in which it is read, and focus is seen", async () => {
      await open({ recording: "ask" });
      const places: number[] = [];
      const seen = new Set<string>();
      for (let i = 0; i < 80; i++) {
        await opened.page.keyboard.press("Tab");
        const at = await opened.page.evaluate(() => {
          const active = document.activeElement;
          if (active === null || active === document.body) return undefined;
          const style = getComputedStyle(active);
          return {
            order: [...document.querySelectorAll("*")].indexOf(active),
            what: active.className || active.localName,
            outlined: style.outlineStyle !== "none" && style.outlineWidth !== "0px",
          };
        });
        if (at === undefined) break;
        assert.ok(at.outlined, `the focus of ${at.what} is not seen`);
        places.push(at.order);
        seen.add(at.what);
      }
      assert.deepEqual(
        places,
        [...places].sort((a, b) => a - b),
      );
      for (const what of ["thread", "md-citation", "place", "icon-button", "summary", "button quiet"])
        assert.ok(
          [...seen].some((each) => each.includes(what)),
          `${what} is not reached: ${[...seen].join(", ")}`,
        );
    });

    it("a citation opens its line, an unclear one leads to its choices", async () => {
      await open();
      const choices = [
        { path: "src/b.ts", line: 2 },
        { path: "src/c.ts", line: 3 },
      ];
      const citations = [cited(1, "src/a.ts", 7), cited(2, "src/b.ts", 2, { choices })];
      await opened.post(
        stateOf([turnOf("a", { state: "done", answer: answerOf("One [1] and two [2].", { citations }) })]),
      );
      await opened.page.getByRole("button", { name: "Citation 1: src/a.ts line 7" }).press("Enter");
      await opened.page.getByRole("button", { name: /^Citation 2/ }).press("Enter");
      assert.equal(await focusedName(), "src/b.ts:2");
      await opened.page.keyboard.press("Tab");
      await opened.page.keyboard.press("Enter");
      assert.deepEqual((await opened.sent()).slice(1), [
        { type: "open", path: "src/a.ts", line: 7 },
        { type: "open", path: "src/c.ts", line: 3 },
      ]);
    });

    it("who comes by keys or a command lands in the question box; who clicks, or has something focused or selected, does not", async () => {
      // Shift+Tab left the panel at once: the command that focuses it put the focus on its body.
      await open({ recording: "ask" });
      /** Timers run in their order: this one behind the panel's. */
      const come = (how: string): Promise<string> =>
        opened.page.evaluate(`new Promise((resolve) => {
          ${how};
          window.dispatchEvent(new Event("focus"));
          setTimeout(() => resolve(document.activeElement.id || document.activeElement.localName), 100);
        })`);
      const press = "document.body.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }))";
      assert.equal(await come("getSelection().selectAllChildren(document.querySelector('.question'))"), "body");
      assert.equal(await come("document.querySelector('.thread').focus()"), "main");
      assert.equal(await come("getSelection().empty(); document.activeElement.blur()"), "question");
      assert.equal(await come(`document.activeElement.blur(); ${press}`), "body");
    });

    it("a failure's buttons do what they say", async () => {
      await open();
      await opened.post(stateOf([turnOf("a", { state: "failed", failure: lost })]));
      for (const name of ["Ask again", "Choose model", "Open settings", "Show log", "New thread"])
        await opened.page.locator(".note").getByRole("button", { name }).press("Enter");
      assert.deepEqual(
        (await opened.sent()).slice(1).map(({ type }) => type),
        ["ask again", "choose model", "open settings", "show log", "new thread"],
      );
    });

    it("an example is asked", async () => {
      await open();
      await opened.post(stateOf([]));
      await opened.page.locator(".example").first().press("Enter");
      assert.match(JSON.stringify((await opened.sent()).at(-1)), /"type":"ask","question":"What does this project do/);
    });
  });

  describe("a screen reader hears", () => {
    it("sentences of a recorded session, never tokens", async () => {
      await open({ recording: "ask" });
      const said = await opened.said();
      const texts = (await recorded("ask")).filter(({ message }) => message.type === "text").length;
      assert.ok(texts > 20 && said.length < 20, said.join("\n"));
      assert.equal(said[0], "Quire is working on your question.");
      assert.ok(said.some((each) => /^Reading the workspace\./.test(each)));
      assert.ok(said.some((each) => /^(25|50|75) percent\. About .* left\.$/.test(each)));
      assert.equal(
        said.filter((each) => /^Answer: An injector decides whether .* 4 citations\.$/.test(each)).length,
        1,
      );
      assert.equal(said.at(-1), "Stopped.");
      for (const each of said) assert.match(each, /[.!?]$/);
    });

    it("progress at quarters at most", async () => {
      await open();
      await opened.post(stateOf([]), stateOf([turnOf("a")]));
      for (let done = 0; done <= 2000; done += 20)
        await opened.post({ type: "progress", turn: "a", progress: reading(done, 2000) });
      assert.deepEqual(
        (await opened.said()).map((each) => each.replace(/ About.*/, "")),
        [
          "Quire is working on your question.",
          "Reading the workspace. This is done once; later questions use what is in memory.",
          "25 percent.",
          "50 percent.",
          "75 percent.",
        ],
      );
    });

    it("which state an answer read, with its end, and once that its files changed since", async () => {
      await open();
      await opened.post(stateOf([]), stateOf([turnOf("a")]), stateOf([outdated("a", "main", [])]));
      const sentence =
        "This answer read the files at commit 1a2b3c4d5 of branch main, 1 file changed since that commit, 1 unsaved editor";
      assert.ok((await opened.said()).at(-1)?.includes(sentence));
      const badge = opened.page.locator(".answer-state");
      assert.match(
        (await badge.locator("[aria-hidden=true]").allInnerTexts()).join(""),
        /^Read at 1a2b3c4d5 \(main\) · /,
      );
      assert.ok((await badge.locator(".unseen").textContent())?.startsWith(sentence));
      await opened.post(stateOf([outdated("a", "main", ["src/a.ts"])]));
      await opened.post(stateOf([outdated("a", "main", ["src/a.ts", "src/b.ts"])]));
      assert.equal((await opened.said()).filter((each) => each === "Changed since this answer: src/a.ts.").length, 1);
      assert.equal(
        (await opened.page.locator(".answer-since").textContent())?.trim(),
        "Changed since this answer: src/a.ts, src/b.ts.",
      );
    });

    it("an error at once, with the next step", async () => {
      await open();
      await opened.post(
        stateOf([]),
        stateOf([turnOf("a")]),
        stateOf([turnOf("a", { state: "failed", failure: lost })]),
      );
      assert.equal((await opened.said()).at(-1), "! The memory is full. Start a new thread.");
    });

    it("nothing of what was there before the panel opened", async () => {
      await open();
      await opened.post(stateOf([turnOf("a", { state: "done", answer: answerOf("Old.") })]));
      assert.deepEqual(await opened.said(), []);
    });
  });

  describe("a long answer", () => {
    it("streams without a long frame, and finished blocks keep their elements", async function () {
      this.timeout(120_000);
      const text = await longText();
      const { page } = await open({ width: 420 });
      await opened.post(stateOf([turnOf("a")]));
      const { spent, kept } = await stream(page, text);
      spent.sort((a, b) => b - a);
      const figures = spent.slice(0, 5).map((each) => each.toFixed(1));
      assert.ok(kept, "the first block was rendered again");
      assert.ok(spent.length > 250, `only ${spent.length} frames`);
      assert.ok((spent[0] ?? 0) < 50, `the longest frames took ${figures.join(", ")} ms`);
    });

    it("of a line of a megabyte changes nothing but its own text", async function () {
      this.timeout(60_000);
      await open({ width: 300 });
      await opened.post(
        stateOf([turnOf("a", { state: "done", answer: answerOf(`Start.\n\n${"<img src=x>".repeat(90_000)}`) })]),
      );
      assert.equal(await opened.page.locator("quire-markdown img").count(), 0);
      assert.ok(await opened.page.getByText("Start.", { exact: true }).isVisible());
    });
  });

  describe("it is robust", () => {
    it("keeps the draft over a reload", async () => {
      await open();
      await opened.post(stateOf([]));
      await opened.page.locator("#question").fill("half a ques");
      await opened.page.reload();
      await opened.page.locator("#question").waitFor();
      assert.equal(await opened.page.locator("#question").inputValue(), "half a ques");
    });

    it("drops and reports a message that it does not understand, and one about a turn that is not there", async () => {
      await open();
      await opened.post(stateOf([]), { type: "nonsense" } as unknown as ToPanel, {
        type: "text",
        turn: "gone",
        text: "x",
      });
      const reports = (await opened.sent()).filter(({ type }) => type === "report");
      assert.equal(reports.length, 2);
      assert.ok(await opened.page.getByRole("heading", { name: "Ask about this workspace" }).isVisible());
    });

    it("has no link, image or form that leads out, whatever an answer holds", async () => {
      await open();
      const hostile = "[x](https://e.test) ![y](https://e.test/i.png) <a href='https://e.test'>z</a> <https://e.test>";
      await opened.post(stateOf([turnOf("a", { state: "done", answer: answerOf(hostile) })]));
      assert.equal(await opened.page.locator("a, img, iframe, [style*=url]").count(), 0);
    });

    it("fits its budget: 120 KB gzipped", async () => {
      const { page } = await open();
      const sizes = await Promise.all(
        ["panel.js", "panel.css"].map(
          async (name) => gzipSync(await (await page.request.get(`${browser?.address}/${name}`)).body()).length,
        ),
      );
      assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 120 * 1024, `${sizes}`);
    });
  });
});

const failed = { state: "failed" as const, message: "The engine ended unexpectedly (SIGKILL)." };

const lost = {
  code: "memory-full",
  message: "The memory is full.",
  nextStep: "Start a new thread.",
  remedies: [
    "ask again" as const,
    "choose model" as const,
    "open settings" as const,
    "show log" as const,
    "new thread" as const,
  ],
};

function reading(done: number, total: number) {
  return { stage: "reading" as const, done, total, tokensPerSecond: 140, secondsLeft: (total - done) / 140 };
}

/** An answered turn that read another state than the workspace has now. */
function outdated(id: string, branch: string, changedSince: string[]): PanelTurn {
  const folders = [{ folder: "w", commit: "1a2b3c4d5", branch, changedFiles: 1 }];
  const answer = answerOf("So.", { state: { folders, unsavedFiles: 1, reading: "edited in place" } });
  return turnOf(id, { state: "done", answer, changedSince });
}

function answerOf(marked: string, changes: Partial<PanelAnswer> = {}): PanelAnswer {
  return {
    model: "smollm2-135m",
    preface: "",
    marked,
    stop: "stop-token",
    citations: [],
    lookedUp: [],
    loaded: [],
    stats: {
      promptTokens: 1200,
      reusedTokens: 1000,
      prefilledTokens: 200,
      prefillSeconds: 1.5,
      decodedTokens: 80,
      decodeTokensPerSecond: 60,
      timeToFirstTokenMs: 1600,
      pagesScored: 10,
      pagesSelected: 5,
      pagesAttended: 5,
      pagesTotal: 10,
      backend: "avx512",
    },
    ...changes,
  };
}

/** Recorded answers one after another, until they have about 3 000 tokens. */
async function longText(): Promise<string> {
  const turns = (await recorded("ask")).flatMap(({ message }) =>
    message.type === "state" ? message.state.thread.turns : [],
  );
  const answers = turns.flatMap(({ answer }) => (answer === undefined ? [] : [answer.marked]));
  let text = "";
  for (let i = 0; text.length < 12_000; i++) text += `${answers[i % answers.length]}\n\n`;
  return text;
}

/**
 * Streams a text into turn "a", some ten tokens a frame. `spent`: milliseconds of processor time that the page's main thread took
 * for each (wall time would be that of whatever else the machine does). `kept`: the first block kept its element.
 */
async function stream(page: Opened["page"], text: string): Promise<{ spent: number[]; kept: boolean }> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const taken = async (): Promise<number> => {
    const { metrics } = await session.send("Performance.getMetrics");
    return 1000 * (metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN);
  };
  const spent: number[] = [];
  let before = await taken();
  for (let at = 0; at < text.length; at += 40) {
    await page.evaluate(
      async (piece) => {
        window.postMessage({ type: "text", turn: "a", text: piece }, "*");
        // The message is taken, then rendered with the next frame, then painted.
        for (let i = 0; i < 3; i++) await new Promise((resolve) => requestAnimationFrame(resolve));
        Object.assign(window, {
          firstBlock:
            (window as { firstBlock?: unknown }).firstBlock ??
            document.querySelector(".md-block + .md-block")?.previousElementSibling,
        });
      },
      text.slice(at, at + 40),
    );
    const now = await taken();
    spent.push(now - before);
    before = now;
  }
  const kept = await page.evaluate(() => {
    const { firstBlock } = window as { firstBlock?: unknown };
    return firstBlock instanceof Element && firstBlock === document.querySelector(".md-block");
  });
  return { spent, kept };
}
