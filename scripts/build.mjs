// build.mjs — `npm run build`: everything that is made from the sources: packages, addon, bundles.
import { start } from "./start.mjs";

start("./ready.mjs", ["packages", "addon", "bundle"]);
