// setup.mjs — `npm run setup`: checks the prerequisites, installs the packages, builds the addon.
import { start } from "./start.mjs";

start("./ready.mjs", ["packages", "addon"]);
