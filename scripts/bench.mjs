// bench.mjs — `npm run bench -- <name> [options]`: sets up, then runs test/bench/<name>.ts.
import { start } from "./start.mjs";

start("./benches.mjs");
