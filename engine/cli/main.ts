// main.ts — `quire`: the commands of the terminal client and their options. Each command's work is in a file of its own.
//
// With --json one object per line goes to standard output, all else to standard error. The exit status is 0 only on success.

import { Command, CommanderError } from "commander";
import { QuireError } from "../errors.ts";
import { version } from "../version.ts";
import { ask } from "./ask.ts";
import { doctor } from "./doctor.ts";
import { showEngines, stopEngines } from "./engines.ts";
import { map } from "./map.ts";
import {
  deleteAllMemories,
  deleteMemories,
  listMemories,
  pinMemories,
  readMemoriesAgain,
  unpinMemories,
} from "./memories.ts";
import { fetchModel, listModels, removeModel, verifyModel } from "./models.ts";
import { addEngineOptions, addSamplingOptions } from "./options.ts";
import { failed } from "./output.ts";

const program = new Command("quire")
  .description("Answers questions about a whole repository, on this machine, with citations.")
  .version(version)
  .exitOverride()
  .configureOutput({ outputError: () => {} }); // said like every other failure, below

addSamplingOptions(addEngineOptions(program.command("ask")))
  .description("read the repository and answer; several questions share one reading")
  .argument("<questions...>", "one or more questions; - reads one from standard input")
  .option("--max-tokens <n>", "most tokens of an answer", "512")
  .option("--fresh", "read everything again, whatever is kept of it")
  .option("--json", "one JSON object per answer on standard output")
  .action(ask);

addEngineOptions(program.command("map"))
  .description("show what would be read, file by file, with tokens")
  .option("--json", "one JSON object on standard output")
  .action(map);

const models = program.command("models").description("models on this machine");
models
  .command("list", { isDefault: true })
  .option("--json")
  .description("the catalog and what is here")
  .action(listModels);
models.command("fetch").argument("[name]").option("--json").description("download and verify one").action(fetchModel);
models.command("verify").argument("<name>").option("--json").description("hash the file again").action(verifyModel);
models.command("remove").argument("<name>").option("--json").description("delete the file").action(removeModel);

const memories = program.command("memories").description("what was read and is kept on this machine");
memories
  .command("list", { isDefault: true })
  .option("--json")
  .description("what is kept, with model, tokens, size and last use")
  .action(listMemories);
const named = (name: string, does: string) =>
  memories
    .command(name)
    .argument("<memory...>", "an id of the list, its beginning, or the folder that was read")
    .option("--json")
    .description(does);
named("pin", "let it go last when space is short").action(pinMemories);
named("unpin", "pin it no longer").action(unpinMemories);
named("read-again", "read its folder again with the next question").action(readMemoriesAgain);
named("delete", "delete it; what other memories share stays").action(deleteMemories);
memories
  .command("delete-all")
  .option("--yes", "do not ask")
  .option("--json")
  .description("delete everything that was read; models stay")
  .action(deleteAllMemories);
const engines = program.command("engine").description("the engine that windows and terminals share");
engines
  .command("status", { isDefault: true })
  .option("--json")
  .description("who uses it and what it holds")
  .action(showEngines);
engines.command("stop").description("end it, for all that use it").action(stopEngines);

program
  .command("doctor")
  .description("this machine, its backends, and what is missing")
  .option("--json", "one JSON object on standard output")
  .action(doctor);

function toFailure(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  return new QuireError("bad-option", error.message.replace(/^error: /, ""), {
    nextStep: "See `quire help` or --help.",
  });
}

async function main(): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    // Help and the version are no failures; help without a command is one that has said everything.
    if (error instanceof CommanderError && /^commander\.(help|version)/.test(error.code))
      process.exitCode = error.exitCode;
    else process.exitCode = failed(toFailure(error), process.argv.includes("--json"));
  }
  // A pending handle must not keep a failed command alive.
  if (process.exitCode !== undefined && process.exitCode !== 0) process.exit(process.exitCode);
}

void main();
