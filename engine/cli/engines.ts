// engines.ts — `quire engine`: the shared engines that run now, with who uses them and what they hold; and the way to end them.
//
// Starts none.

import { numberText } from "../../words/figures.ts";
import { type EngineInfo, type EngineStatus, methods, protocolVersion } from "../protocol.ts";
import { reachRunning } from "../share/reach.ts";
import { clientName, EngineClient, engineProgram } from "./engine-client.ts";
import { bytes, duration, printJson, say } from "./output.ts";

/** A running engine; one that speaks another version of the protocol says no more than why. */
export type RunningEngine = EngineStatus | { refused: string };

/** Milliseconds for an engine to say how it is: one that hangs must not make this hang. */
const patience = 3_000;

export function runningEngines(): Promise<RunningEngine[]> {
  return withRunning((client) => client.request<EngineStatus>(methods.status, {}, AbortSignal.timeout(patience)));
}

export async function showEngines(options: { json?: boolean }): Promise<void> {
  const engines = await runningEngines();
  if (options.json === true) printJson(engines);
  else process.stdout.write(`${engines.length === 0 ? "No engine runs." : engines.flatMap(engineLines).join("\n")}\n`);
}

export async function stopEngines(): Promise<void> {
  const stopped = await withRunning(async (client) => {
    await client.request<null>(methods.stop, {}, AbortSignal.timeout(patience));
    return { refused: "" };
  });
  for (const { refused } of stopped) if (refused !== "") say(`An engine goes on: ${refused}`);
  const count = stopped.filter(({ refused }) => refused === "").length;
  say(
    count === 0 ? "No engine was stopped." : count === 1 ? "The engine was stopped." : `${count} engines were stopped.`,
  );
}

/** An engine in lines, the later ones indented. */
export function engineLines(engine: RunningEngine): string[] {
  if ("refused" in engine) return [`one that says nothing to this version: ${engine.refused}`];
  const { pid, upSeconds, clients, questions, models, memories, engineVersion } = engine;
  const asked = questions === 0 ? "" : `, ${questions} ${questions === 1 ? "question" : "questions"} in work`;
  return [
    `process ${pid}, Quire ${engineVersion}, for ${duration(upSeconds)}${asked}`,
    ...clients.map(({ name }) => `  used by ${name}`),
    ...models.map(({ name, backend, bytes: size }) => `  model ${name} on ${backend}, ${bytes(size)}`),
    ...memories.map(
      ({ roots, model, tokens, bytes: size }) =>
        `  memory of ${roots.join(", ")} with ${model}: ${numberText(tokens)} tokens, ${bytes(size)}`,
    ),
  ];
}

async function withRunning<Result>(
  ask: (client: EngineClient) => Promise<Result>,
): Promise<(Result | { refused: string })[]> {
  const results: (Result | { refused: string })[] = [];
  for (const link of await reachRunning(engineProgram().env)) {
    const client = EngineClient.on(link, {});
    try {
      const greeting = { protocolVersion, client: clientName() };
      await client.request<EngineInfo>(methods.initialize, greeting, AbortSignal.timeout(patience));
      results.push(await ask(client));
    } catch (error) {
      results.push({ refused: error instanceof Error ? error.message : String(error) });
    }
    await client.dispose();
  }
  return results;
}
