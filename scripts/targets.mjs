// targets.mjs — the systems that a VSIX can be made for, and what they are called by vsce, Zig, CMake and npm.
import { Stop } from "./steps.mjs";

/** vsce's names. `zig`: the compiler's target; Linux binaries need no newer glibc than 2.28 (Debian 10, RHEL 8). */
export const targets = {
  "linux-x64": { zig: "x86_64-linux-gnu.2.28", system: "Linux", processor: "x86_64", rg: "rg" },
  "linux-arm64": { zig: "aarch64-linux-gnu.2.28", system: "Linux", processor: "aarch64", rg: "rg" },
  "darwin-arm64": { zig: "aarch64-macos.11.0", system: "Darwin", processor: "arm64", rg: "rg" },
  "win32-x64": { zig: "x86_64-windows-gnu", system: "Windows", processor: "AMD64", rg: "rg.exe" },
};

/** The target of the machine we run on; it need not be one of those above. */
export const thisTarget = `${process.platform}-${process.arch}`;

/** The targets that `--target` names: one, or all. */
export function namedTargets(name) {
  if (name === "all") return Object.keys(targets);
  if (name in targets) return [name];
  throw new Stop(`which target? npm run package -- --target <${[...Object.keys(targets), "all"].join(" | ")}>`);
}
