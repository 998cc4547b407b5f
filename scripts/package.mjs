// package.mjs — `npm run package`: the extension as a VSIX in package/, for this machine; with --target for any.
import { start } from "./start.mjs";

start("./vsix.mjs");
