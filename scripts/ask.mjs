// ask.mjs — `npm run ask -- "question"`: from a fresh clone to an answer.
import { start } from "./start.mjs";

start("./client.mjs", ["ask"]);
