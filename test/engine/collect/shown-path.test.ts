// How paths are shown, also of files that were not collected.

import assert from "node:assert/strict";
import path from "node:path";
import { pathWithin, prefixes, shownFile } from "../../../engine/collect/shown-path.ts";

const at = (...segments: string[]): string => path.resolve(path.sep, ...segments);

describe("a path as it is shown", () => {
  it("begins with the folder's name where there are several, made unique", () => {
    const folders = [
      { name: "app", root: at("x", "app") },
      { name: "app", root: at("y", "app") },
    ];
    assert.deepEqual(
      prefixes(folders).map(([prefix]) => prefix),
      ["app/", "app-2/"],
    );
    assert.equal(shownFile(folders, at("y", "app", "src", "a.ts")), "app-2/src/a.ts");
    assert.equal(shownFile(folders.slice(0, 1), at("x", "app", "src", "a.ts")), "src/a.ts");
  });

  it("is the name alone outside of every folder", () =>
    assert.equal(shownFile([{ name: "a", root: at("a") }], at("b", "c.ts")), "c.ts"));

  it("is within a folder only below it", () => {
    assert.equal(pathWithin(at("a"), at("a", "..b", "c")), "..b/c");
    assert.equal(pathWithin(at("a"), at("a")), undefined);
    assert.equal(pathWithin(at("a"), at("ab", "c")), undefined);
  });
});
