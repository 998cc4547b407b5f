// doctor.ts — `quire doctor`: this machine, its backends, and what is missing. Status 1 when a question could not be answered.

import { type DoctorReport, methods } from "../protocol.ts";
import { bytes, printJson } from "./output.ts";
import { withEngine } from "./session.ts";

export async function doctor(options: { json?: boolean }): Promise<void> {
  const report = await withEngine(({ request }) => request<DoctorReport>(methods.doctor, null));
  if (options.json === true) printJson(report);
  else process.stdout.write(render(report));
  if (report.missing.length > 0) process.exitCode = 1;
}

function render(report: DoctorReport): string {
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
  ];
  if (report.missing.length === 0) lines.push("Nothing is missing.");
  else lines.push("Missing", ...report.missing.map((what) => `  ${what}`));
  return `${lines.join("\n")}\n`;
}
