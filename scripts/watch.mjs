// watch.mjs — `npm run watch`: bundles again at every change of a source; Enter builds the native part again.
import { start } from "./start.mjs";

start("./watching.mjs");
