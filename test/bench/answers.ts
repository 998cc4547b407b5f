// answers.ts — the entry of `npm run bench -- answers`; answers/run.ts says what it does.

import { run } from "./answers/run.ts";

process.exitCode = await run(process.argv.slice(2));
