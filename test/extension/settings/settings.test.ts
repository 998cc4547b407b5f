// settings.test.ts — settings as people write them, and the manifest that offers them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { commandNames, tabType, viewId } from "../../../extension/names.ts";
import { askSettings, folderSettings, settingDefaults } from "../../../extension/settings/settings.ts";

const root = path.join(import.meta.dirname, "..", "..", "..");
const json = (name: string): Record<string, unknown> => JSON.parse(readFileSync(path.join(root, name), "utf8"));
const manifest = json("package.json") as {
  contributes: {
    configuration: {
      properties: Record<string, { default: unknown; pattern?: string; scope: string; markdownDescription: string }>;
    };
    commands: { command: string; title: string }[];
    views: { quire: { id: string }[] };
  };
  activationEvents: string[];
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: string[] } };
};
const properties = manifest.contributes.configuration.properties;
const reading =
  (values: Record<string, unknown>) =>
  (name: string): unknown =>
    values[name];

describe("settings", () => {
  it("are the manifest's, with the manifest's defaults", () => {
    for (const [name, usual] of settingDefaults) {
      const offered = properties[`quire.${name}`]?.default;
      // The settings page has a box for text only.
      assert.deepEqual(
        typeof usual === "number" && typeof offered === "string" ? Number(offered) : offered,
        usual,
        name,
      );
    }
    const elsewhere = [
      "quire.memory.maxGB",
      "quire.memory.location",
      "quire.memory.followEdits",
      "quire.engine.keepMinutes",
      "quire.node.path",
    ];
    const offered = Object.keys(properties).filter((name) => !elsewhere.includes(name));
    assert.deepEqual(offered.sort(), [...settingDefaults.keys()].map((name) => `quire.${name}`).sort());
  });

  it("are the defaults where nothing is set", () => {
    const { engine, maxTokens, sampling, refused } = askSettings(() => undefined);
    assert.equal(engine.model, "auto");
    assert.equal(engine.tokenBudget, "auto");
    assert.equal(engine.selection.pageBudget, 1024);
    assert.equal(maxTokens, 512);
    assert.equal(sampling.temperature, 0);
    assert.deepEqual(refused, []);
  });

  it("take a number that was written as text", () => {
    const read = reading({ "context.tokenBudget": "20000", "attention.pageBudget": "512" });
    const { engine, refused } = askSettings(read);
    assert.equal(engine.tokenBudget, 20_000);
    assert.equal(engine.selection.pageBudget, 512);
    assert.deepEqual(refused, []);
  });

  const unfit: [string, unknown][] = [
    ["context.tokenBudget", "lots"],
    ["context.tokenBudget", -1],
    ["attention.pageBudget", 3],
    ["answer.maxTokens", 1.5],
    ["sampling.topP", 0],
    ["model", ""],
    ["attention.exact", "yes"],
  ];
  for (const [name, value] of unfit) {
    it(`say that ${name} cannot be ${JSON.stringify(value)}, and use the default`, () => {
      const { refused } = askSettings(reading({ [name]: value }));
      assert.equal(refused.length, 1);
      assert.match(
        refused[0] ?? "",
        new RegExp(
          `^The setting quire\\.${name.replace(".", "\\.")} cannot be .*is used instead\\. In the settings, give .*\\.$`,
        ),
      );
    });
  }

  it("that are typed in the settings page are judged by it as they are here", () => {
    const texts = ["", "auto", "dense", "0", "15", "16", "99", "100", "255", "256", "300", "1000", "1e6", "-5"];
    for (const name of ["context.tokenBudget", "attention.pageBudget", "attention.readingBudget"]) {
      const pattern = new RegExp(properties[`quire.${name}`]?.pattern ?? "none");
      for (const text of [...texts, "99999999", "100000000", "100000001", "1000000000", "1000000001"])
        assert.equal(
          askSettings(reading({ [name]: text })).refused.length === 0,
          pattern.test(text),
          `${name} ${text}`,
        );
    }
  });

  it("of a folder are its own patterns", () => {
    const read = reading({ "context.include": ["src/**"], "context.exclude": "no list" });
    const { refused, ...folder } = folderSettings(read);
    const usual = { details: {}, ignored: false, submodules: false };
    assert.deepEqual(folder, { include: ["src/**"], exclude: [], ...usual });
    assert.equal(refused.length, 1);
  });

  it("of a folder say how much of a file is read, and whether git's own choice counts", () => {
    const read = reading({ "context.detail": { docs: "off" }, "context.followGitignore": false });
    const { details, ignored, refused } = folderSettings(read);
    assert.deepEqual([details, ignored, refused], [{ docs: "off" }, true, []]);
    const [sentence = ""] = folderSettings(reading({ "context.detail": { docs: "some" } })).refused;
    assert.match(sentence, /quire\.context\.detail cannot be .*"some".* give patterns, each with full/);
  });
});

describe("the manifest", () => {
  it("has words for every key, and no key without a use", () => {
    const words = json("package.nls.json");
    const used = [...JSON.stringify(manifest).matchAll(/%([\w.]+)%/g)].map(([, key]) => key ?? "");
    assert.deepEqual([...new Set(used)].sort(), Object.keys(words).sort());
  });

  it("gives every setting a scope and a description", () => {
    for (const [name, { scope, markdownDescription }] of Object.entries(properties)) {
      assert.ok(["machine", "machine-overridable", "window", "resource"].includes(scope), name);
      assert.equal(markdownDescription, `%quire.setting.${name.replace(/^quire\./, "")}%`);
    }
  });

  it("lets no workspace that is not trusted choose what runs", () => {
    assert.deepEqual(manifest.capabilities.untrustedWorkspaces.restrictedConfigurations, [
      "quire.model",
      "quire.memory.location",
      "quire.node.path",
    ]);
    for (const name of ["quire.memory.location", "quire.node.path"]) assert.equal(properties[name]?.scope, "machine");
  });

  it("offers only commands that the extension registers", () => {
    const registered: string[] = [...commandNames, "quire.showLog", "quire.openSettings"];
    for (const { command } of manifest.contributes.commands) assert.ok(registered.includes(command), command);
  });

  it("calls the panel's view and its tab as the extension does", () => {
    assert.equal(manifest.contributes.views.quire[0]?.id, viewId);
    assert.ok(manifest.activationEvents.includes(`onWebviewPanel:${tabType}`));
  });
});
