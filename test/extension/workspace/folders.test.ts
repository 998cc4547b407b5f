// folders.test.ts — the editor's folders and documents as the engine takes them.

import assert from "node:assert/strict";
import { prefixes } from "../../../engine/collect/shown-path.ts";
import { folderSettings } from "../../../extension/settings/settings.ts";
import { type EditorFolder, hindranceOf, toWorkspace, uniqueNames } from "../../../extension/workspace/folders.ts";

const disk = (name: string, path: string): EditorFolder => ({ name, scheme: "file", path });
const virtual: EditorFolder = { name: "remote", scheme: "vscode-vfs", path: "/remote" };
const open = (path: string, text: string, dirty = true, scheme = "file") => ({ scheme, path, dirty, text: () => text });

describe("the workspace for the engine", () => {
  it("has every folder on disk, by names that differ, and its patterns", () => {
    const { refused: _, ...settings } = folderSettings((name) => (name === "context.include" ? ["src/**"] : undefined));
    const first = { ...disk("app", "/a/app"), settings };
    const { folders, trusted } = toWorkspace([first, virtual, disk("app", "/b/app")], [], false).workspace;
    assert.deepEqual(folders, [
      { name: "app", root: "/a/app", ...settings },
      { name: "app-2", root: "/b/app" },
    ]);
    assert.equal(trusted, false);
  });

  it('names a folder as the engine shows it (once "app (2)" here was "app-2" there)', () => {
    const names = ["app", "app-2", "app", "lib", "app"];
    const shown = prefixes(uniqueNames(names).map((name) => ({ name, root: `/${name}` })));
    assert.deepEqual(uniqueNames(names), ["app", "app-2", "app-3", "lib", "app-4"]);
    assert.deepEqual(
      shown.map(([prefix]) => prefix),
      prefixes(names.map((name) => ({ name, root: "/" }))).map(([prefix]) => prefix),
    );
  });

  it("has the text of editors that differ from the disk, inside its folders alone", () => {
    const documents = [
      open("/a/app/x.ts", "new x"),
      open("/a/app/same.ts", "same", false),
      open("/a/apple/y.ts", "outside"),
      open("/a/app/out.log", "output", true, "output"),
      open("/a/app/huge.ts", "x".repeat(1_000_001)),
    ];
    const { workspace, notices } = toWorkspace([disk("app", "/a/app")], documents, true);
    assert.deepEqual(workspace.unsaved, [{ path: "/a/app/x.ts", text: "new x" }]);
    assert.deepEqual(notices, ["Read as on disk, since the editor's text is over a million characters: huge.ts."]);
  });

  it("cannot be asked about without a folder on disk, and says what to do", () => {
    assert.match(hindranceOf([]) ?? "", /Open a folder/);
    assert.match(hindranceOf([virtual]) ?? "", /not on a disk.*Clone/);
    assert.equal(hindranceOf([virtual, disk("app", "/a")]), undefined);
  });

  it("names the folders that are left out", () => {
    assert.deepEqual(toWorkspace([disk("app", "/a")], [], true).notices, []);
    const [sentence = ""] = toWorkspace([virtual, disk("app", "/a")], [], true).notices;
    assert.match(sentence, /not on disk: remote\./);
  });
});
