import assert from "node:assert/strict";
import fc from "fast-check";
import { type Folder, placeOf, shownPath } from "../../../extension/talk/places.ts";

const one: Folder[] = [{ name: "ws", path: "/home/me/ws" }];
const two: Folder[] = [
  { name: "app", path: "/work/app" },
  { name: "app-2", path: "/other/app" },
  { name: "lib", path: "/work/app/lib" },
];

describe("places of shown paths", () => {
  it("begin in the folder, where there is one", () => {
    assert.equal(shownPath(one, "/home/me/ws/src/a.ts"), "src/a.ts");
    assert.deepEqual(placeOf(one, "src/a.ts", false), { folder: 0, segments: ["src", "a.ts"] });
  });

  it("begin with the folder's name where there are several; the innermost folder counts", () => {
    assert.equal(shownPath(two, "/work/app/a.ts"), "app/a.ts");
    assert.equal(shownPath(two, "/other/app/a.ts"), "app-2/a.ts");
    assert.equal(shownPath(two, "/work/app/lib/a.ts"), "lib/a.ts");
    assert.deepEqual(placeOf(two, "app-2/x/a.ts", false), { folder: 1, segments: ["x", "a.ts"] });
    assert.equal(placeOf(two, "a.ts", false), undefined);
    assert.equal(placeOf(two, "nothing/a.ts", false), undefined);
  });

  it("are none outside the workspace", () => {
    assert.equal(shownPath(one, "/home/me/ws-other/a.ts"), undefined);
    assert.equal(shownPath(one, "/home/me/ws"), undefined);
    for (const path of ["", "/", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a\0b"])
      assert.equal(placeOf(one, path, false), undefined, path);
    assert.equal(placeOf([], "a.ts", false), undefined);
  });

  it("take names as they are, whatever is in them", () => {
    for (const name of [
      "a b#c?.ts",
      "q\"uo'te",
      "](command:x)",
      "new\nline",
      "http:",
      "command:evil",
      "..a",
      "back\\slash",
    ])
      assert.deepEqual(placeOf(one, name, false)?.segments, [name]);
  });

  it("refuse on Windows what a file system there reads as a way elsewhere", () => {
    for (const path of ["..\\x", "c:\\x", "c:", "a.ts:stream"]) assert.equal(placeOf(one, path, true), undefined);
  });

  it("lead back to the file that was shown", () => {
    const name = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => !/[/\0]|^\.\.?$/.test(text));
    const folders = fc.constantFrom(one, two);
    fc.assert(
      fc.property(folders, fc.nat(2), fc.array(name, { minLength: 1, maxLength: 4 }), (all, index, segments) => {
        const folder = all[index % all.length];
        const path = `${folder?.path}/${segments.join("/")}`;
        const place = placeOf(all, shownPath(all, path) ?? "", false);
        assert.equal(`${all[place?.folder ?? -1]?.path}/${place?.segments.join("/")}`, path);
      }),
    );
  });
});
