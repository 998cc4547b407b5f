// quire.mjs — `npm run quire -- <command>`: any command of the terminal client, set up first.
import { start } from "./start.mjs";

start("./client.mjs");
