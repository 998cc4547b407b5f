// test.mjs — `npm test`, and with --models `npm run test:models`.
import { start } from "./start.mjs";

start("./tests.mjs");
