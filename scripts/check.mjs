// check.mjs — `npm run check`: types, lint and format, unused code, the import rules. `npm run format` writes the formats.
import { start } from "./start.mjs";

start("./checks.mjs");
