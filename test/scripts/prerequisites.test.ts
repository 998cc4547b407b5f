// prerequisites.test.ts — machines that lack something, made of a PATH with only the tools named.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { howToGet } from "../../scripts/how-to-get.mjs";
import { checkPrerequisites, compareVersions, findCompiler, onPath } from "../../scripts/prerequisites.mjs";

const root = path.join(import.meta.dirname, "..", "..");

describe("prerequisites", () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "quire-machine-"));
    mkdirSync(path.join(folder, "bin"));
    symlinkSync(process.execPath, path.join(folder, "bin", "node"));
    env = { PATH: path.join(folder, "bin"), QUIRE_CACHE: path.join(folder, "cache"), HOME: folder };
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A tool that is a shell script. */
  const tool = (name: string, script: string): string => {
    const file = path.join(folder, "bin", name);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const realCompiler = (): string => onPath(["c++", "g++", "clang++"], process.env) ?? assert.fail("no compiler here");
  /** The machine's compiler with the PATH it needs, and a line in `calls` each time. */
  const countedCompiler = (): string => {
    const calls = path.join(folder, "calls");
    writeFileSync(calls, "");
    return tool("g++", `echo call >> '${calls}'\nPATH='${process.env.PATH}' exec '${realCompiler()}' "$@"`);
  };

  it("names everything that is missing at once, with the way to get it", async () => {
    await assert.rejects(checkPrerequisites(env), (error: Error) => {
      for (const word of ["- git", "- a C++17 compiler", "- CMake 3.20 or later (found: none)", "- Ninja"]) {
        assert.ok(error.message.includes(word), `${word} in ${error.message}`);
      }
      return true;
    });
  });

  it("takes CMake and Ninja from wheels where python3 has pip", async () => {
    countedCompiler();
    tool("git", "echo git version 2.39.5");
    tool("python3", "echo pip 23.2.1 from somewhere");
    const found = await checkPrerequisites(env);
    assert.equal(found.cmake, undefined);
    assert.equal(found.ninja, undefined);
    assert.equal(found.python, path.join(folder, "bin", "python3"));
  });

  it("does not take an old CMake, and says which one it found", async () => {
    countedCompiler();
    tool("git", "echo git version 2.39.5");
    tool("ninja", "echo 1.11.1");
    tool("cmake", "echo cmake version 3.10.2");
    await assert.rejects(checkPrerequisites(env), /CMake 3\.20 or later \(found: 3\.10\.2\)/);
    tool("cmake", "echo cmake version 3.20.0");
    assert.equal((await checkPrerequisites(env)).cmake, path.join(folder, "bin", "cmake"));
  });

  it("takes a tool that is there but does not run for missing", async () => {
    countedCompiler();
    tool("git", "exit 1");
    tool("python3", "echo No module named pip >&2; exit 1");
    tool("ninja", "exit 126");
    tool("cmake", "echo cmake version 3.25.1");
    await assert.rejects(checkPrerequisites(env), /- git\n(.|\n)*- Ninja/);
  });

  it("tries the compiler on C++17 and passes on what it said", async () => {
    tool("g++", "echo 'g++: error: unrecognized command line option -std=c++17' >&2; exit 1");
    const { path: found, refused } = await findCompiler(env);
    assert.equal(found, undefined);
    assert.match(refused.join(), /g\+\+: .*unrecognized command line option/);
  });

  it("goes on to the next compiler when the first is too old", async () => {
    tool("c++", "exit 1");
    const good = countedCompiler();
    assert.equal((await findCompiler(env)).path, good);
  });

  it("keeps the answer about a compiler until its file changes", async () => {
    countedCompiler();
    const calls = () => readFileSync(path.join(folder, "calls"), "utf8").split("call").length - 1;
    await findCompiler(env);
    assert.equal(calls(), 1);
    await findCompiler(env);
    assert.equal(calls(), 1);
    writeFileSync(
      path.join(folder, "bin", "g++"),
      `${readFileSync(path.join(folder, "bin", "g++"), "utf8")}\n# newer\n`,
    );
    await findCompiler(env);
    assert.equal(calls(), 2);
  });

  it("prints nothing on standard output when `ask --json` cannot be set up", () => {
    // A clone without node_modules: the scripts and what they read.
    for (const name of ["scripts", "package.json", "package-lock.json"]) {
      cpSync(path.join(root, name), path.join(folder, "clone", name), { recursive: true });
    }
    const ask = path.join(folder, "clone", "scripts", "ask.mjs");
    const { status, stdout, stderr } = spawnSync(process.execPath, [ask, "why?", "--json"], { env, encoding: "utf8" });
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^quire: something that Quire needs is missing:\n {2}- git\n/);
    assert.ok(!stderr.includes("    at "), "no stack");
  });

  it("refuses an old Node in words, whichever command", () => {
    for (const command of ["ask", "quire", "setup", "build", "check", "test", "bench"]) {
      const code = `Object.defineProperty(process.versions, "node", { value: "18.20.4" }); import(${JSON.stringify(path.join(root, "scripts", `${command}.mjs`))});`;
      const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", code], { env, encoding: "utf8" });
      assert.equal(status, 1, command);
      assert.equal(stdout, "");
      assert.match(stderr, /Node 20 or later is needed, this is 18\.20\.4/);
    }
  });

  it("keeps the first file readable to Node 12", () => {
    const text = readFileSync(path.join(root, "scripts", "start.mjs"), "utf8").replace(/^ *\/\/.*$/gm, "");
    assert.doesNotMatch(text, /\?\.|\?\?|^await |node:/m);
  });
});

describe("howToGet", () => {
  const on = (osRelease: string, root = false) => ({ platform: "linux" as const, osRelease, root });
  const cases: [string, ReturnType<typeof on>, string][] = [
    ["compiler", on("ID=debian\n"), "sudo apt-get install -y g++"],
    ["compiler", on("ID=debian\n", true), "apt-get install -y g++"],
    ["ninja", on('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n'), "sudo apt-get install -y ninja-build"],
    ["compiler", on('ID="rocky"\nID_LIKE="rhel centos fedora"\n'), "sudo dnf install -y gcc-c++"],
    ["pip", on("ID=arch\n"), "sudo pacman -S --needed python-pip"],
    ["compiler", on("ID=alpine\n"), "sudo apk add g++ linux-headers"],
    ["gtest", on('ID="opensuse-tumbleweed"\n'), "sudo zypper install -y gtest"],
  ];
  for (const [tool, system, expected] of cases) {
    it(`says ${expected}`, () => assert.equal(howToGet(tool, system), expected));
  }
  it("names Debian's package on a system it does not know", () => {
    assert.match(howToGet("ninja", on("ID=nixos\n")), /ninja-build.*package manager/);
  });
  it("knows macOS", () => {
    assert.equal(howToGet("compiler", { platform: "darwin", osRelease: "", root: false }), "xcode-select --install");
  });
});

describe("compareVersions", () => {
  const cases: [string, string, number][] = [
    ["3.20", "3.20.0", 0],
    ["3.9.6", "3.20", -1],
    ["4.4.4", "3.20", 1],
    ["3.25.1-rc2", "3.25.1", 0],
  ];
  for (const [a, b, expected] of cases)
    it(`${a} and ${b}: ${expected}`, () => assert.equal(compareVersions(a, b), expected));
});
