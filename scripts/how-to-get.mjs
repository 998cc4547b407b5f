// how-to-get.mjs — the command that brings a missing tool, for the system at hand.
//
// In: a tool's name and the system. Out: one line.
import { readFileSync } from "node:fs";

const families = [
  { ids: ["debian", "ubuntu"], install: "apt-get install -y" },
  { ids: ["fedora", "rhel", "centos"], install: "dnf install -y" },
  { ids: ["arch"], install: "pacman -S --needed" },
  { ids: ["alpine"], install: "apk add" },
  { ids: ["suse", "opensuse"], install: "zypper install -y" },
];

const packages = {
  compiler: { debian: "g++", fedora: "gcc-c++", arch: "gcc", alpine: "g++ linux-headers", suse: "gcc-c++" },
  git: { debian: "git", fedora: "git", arch: "git", alpine: "git", suse: "git" },
  cmake: { debian: "cmake", fedora: "cmake", arch: "cmake", alpine: "cmake", suse: "cmake" },
  ninja: { debian: "ninja-build", fedora: "ninja-build", arch: "ninja", alpine: "ninja", suse: "ninja" },
  pip: { debian: "python3-pip", fedora: "python3-pip", arch: "python-pip", alpine: "py3-pip", suse: "python3-pip" },
  gtest: { debian: "libgtest-dev", fedora: "gtest-devel", arch: "gtest", alpine: "gtest-dev", suse: "gtest" },
  kerberos: {
    debian: "libkrb5-dev",
    fedora: "krb5-devel",
    arch: "krb5",
    alpine: "krb5-dev",
    suse: "krb5-devel",
  },
};

const mac = {
  compiler: "xcode-select --install",
  git: "xcode-select --install",
  pip: "brew install python",
  gtest: "brew install googletest",
};

const windows = { git: "winget install Git.Git", pip: "winget install Python.Python.3.12" };

/** The system that this runs on. */
export function thisSystem() {
  let osRelease = "";
  try {
    osRelease = readFileSync("/etc/os-release", "utf8");
  } catch {
    // Not a Linux with that file: the advice gets more general.
  }
  return { platform: process.platform, osRelease, root: process.getuid?.() === 0 };
}

/** The command for `tool` ("git", "compiler", "cmake", "ninja", "pip", "gtest", "kerberos"), or words where no command is known. */
export function howToGet(tool, { platform, osRelease, root } = thisSystem()) {
  if (platform === "darwin") return mac[tool] ?? `brew install ${tool}`;
  if (platform === "win32") return windows[tool] ?? `install ${tool}`;
  const ids = [...osRelease.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap((match) => match[1].split(" "));
  const family = families.find((candidate) => candidate.ids.some((id) => ids.some((own) => own.startsWith(id))));
  const name = family && packages[tool][family.ids[0]];
  if (!name) return `install ${packages[tool].debian} (its name on Debian) with your system's package manager`;
  return `${root ? "" : "sudo "}${family.install} ${name}`;
}
