import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { QuireError } from "../../engine/errors.ts";
import { ensureFolder, memoriesFolder, modelsFolder, quireHome } from "../../engine/paths.ts";

describe("quireHome", () => {
  const check = (platform: NodeJS.Platform, env: Record<string, string>, home: string, expected: string): void =>
    assert.equal(quireHome({ env, platform, home }), expected);

  it("follows each system's habit", () => {
    check("linux", {}, "/home/ada", "/home/ada/.local/share/quire");
    check("linux", { XDG_DATA_HOME: "/data" }, "/home/ada", "/data/quire");
    check("linux", { XDG_DATA_HOME: "relative" }, "/home/ada", "/home/ada/.local/share/quire");
    check("darwin", { XDG_DATA_HOME: "/data" }, "/Users/ada", "/Users/ada/Library/Application Support/Quire");
    check("win32", { LOCALAPPDATA: "D:\\Local" }, "C:\\Users\\ada", "D:\\Local\\Quire");
    check("win32", {}, "C:\\Users\\ada", "C:\\Users\\ada\\AppData\\Local\\Quire");
  });
  it("lets QUIRE_HOME decide, if absolute", () => {
    check("linux", { QUIRE_HOME: "/q/../r", XDG_DATA_HOME: "/data" }, "/home/ada", "/r");
    check("linux", { QUIRE_HOME: "" }, "/home/ada", "/home/ada/.local/share/quire");
    assert.throws(() => quireHome({ env: { QUIRE_HOME: "q" }, platform: "linux", home: "/h" }), { code: "bad-option" });
  });
});

describe("the folder of memories", () => {
  it("is the user's, or a folder of its own below the one given", () => {
    assert.ok(memoriesFolder({}).endsWith("memories"));
    assert.equal(memoriesFolder({ QUIRE_MEMORY_FOLDER: "/big" }), path.join("/big", "quire-memories"));
  });

  it("is nowhere below a relative path", () => {
    assert.throws(() => memoriesFolder({ QUIRE_MEMORY_FOLDER: "big" }), /absolute path/);
  });
});

describe("ensureFolder", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "quire-paths-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("makes a folder that only its user may enter, and closes one that was open", async function () {
    if (process.platform === "win32") this.skip();
    const made = await ensureFolder(modelsFolder(path.join(folder, "a")));
    assert.equal((await stat(made)).mode & 0o777, 0o700);
    await chmod(made, 0o755);
    await ensureFolder(made);
    assert.equal((await stat(made)).mode & 0o777, 0o700);
  });
  it("says what is in the way", async () => {
    await writeFile(path.join(folder, "file"), "");
    await assert.rejects(ensureFolder(path.join(folder, "file")), (error) => {
      return error instanceof QuireError && error.code === "no-such-folder" && error.nextStep.includes("QUIRE_HOME");
    });
  });
});
