// doctor.ts — `quire doctor`: this machine, its backends, which engines run, and what is missing. Status 1 when a question could not be
// answered.

import { type DoctorReport, methods } from "../protocol.ts";
import { engineLines, type RunningEngine, runningEngines } from "./engines.ts";
import { bytes, printJson } from "./output.ts";
import { withEngine } from "./session.ts";

export async function doctor(options: { json?: boolean }): Promise<void> {
  // Of an engine of its own: to look starts none that stays.
  const report = await withEngine(({ request }) => request<DoctorReport>(methods.doctor, null), undefined, true);
  const engines = await runningEngines();
  if (options.json === true) printJson({ ...report, engines });
  else process.stdout.write(render(report, engines));
  if (report.missing.length > 0) process.exitCode = 1;
}

function render(report: DoctorReport, engines: readonly RunningEngine[]): string {
  const lines = [
    `Quire ${report.engineVersion}, Node ${report.node}, ${report.platform}`,
    `${report.cpu}, ${report.cores} cores, ${bytes(report.availableBytes)} of ${bytes(report.memoryBytes)} memory free`,
    `Models and memories: ${report.folder}`,
    "",
    "Backends",
    ...report.backends.map((backend) => `  ${backend.usable ? "yes" : "no "}  ${backend.name}: ${backend.reason}`),
    "",
    "Tools",
    ...report.tools.map(
      (tool) => `  ${tool.found ? "yes" : "no "}  ${tool.name}: ${tool.found ? tool.detail : tool.need}`,
    ),
    "",
    "Models",
    ...report.models.map((model) => `  ${model.state.padEnd(8)} ${model.name}`),
    "",
    "Running engines",
    ...(engines.length === 0 ? ["  none"] : engines.flatMap(engineLines).map((line) => `  ${line}`)),
    "",
  ];
  if (report.missing.length === 0) lines.push("Nothing is missing.");
  else lines.push("Missing", ...report.missing.map((what) => `  ${what}`));
  return `${lines.join("\n")}\n`;
}
